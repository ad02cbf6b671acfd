/* The schema that this program is made for: the number of its newest migration, generated from sql/migrations by scripts/bundle_sql.py. A daemon
 * does not work on another one, whatever functions it finds there. */
#ifndef VB_DB_SCHEMA_VERSION_H
#define VB_DB_SCHEMA_VERSION_H

extern const int schema_version;

#endif
