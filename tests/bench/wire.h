/* The task is the bytes of one connection, plain or under TLS 1.3, with the manners of send and recv on a non-blocking socket. The server's certificate
 * is verified, its address in it too. */
#ifndef VB_BENCH_WIRE_H
#define VB_BENCH_WIRE_H

#include <openssl/types.h>
#include <stddef.h>
#include <sys/types.h>

struct wire {
	int fd;
	SSL *ssl;		/* NULL: plain */
};

/* What connections under TLS share: who may have signed the server's certificate. Ends the program where the file is not fit. */
SSL_CTX *wire_tls_new(const char *ca_file);

/* Connects to HOST:PORT and, with tls, shakes hands before it returns. Ends the program on a failure. */
void wire_open(struct wire *w, const char *address, SSL_CTX *tls);
void wire_close(struct wire *w);

/* As send and recv: -1 and EAGAIN where it would block. Receiving fills the room as far as there is something to read. */
ssize_t wire_send(struct wire *w, const char *p, size_t n);
ssize_t wire_recv(struct wire *w, char *p, size_t n);

#endif
