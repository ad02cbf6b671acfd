/* File descriptors: how many the process may have, and what that leaves for connections. */
#ifndef VB_NET_DESCRIPTORS_H
#define VB_NET_DESCRIPTORS_H

#include <stddef.h>

/* Raises the soft limit to the hard one. Returns how many descriptors are left for connections of peers once `reserved` are kept for everything else
 * (the database, channels, files, the loop itself); at least 1. */
size_t descriptors_for_peers(size_t reserved);

/* The share of a wish of `wanted` connections, where all wishes together are `sum` and only `available` can be had; at least 1. */
size_t descriptors_share(size_t wanted, size_t sum, size_t available);

#endif
