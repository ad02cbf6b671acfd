/* OpenSSL on the socket itself. Under TLS a readable socket may hold less or more than a record, so reading goes on until it would block. */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : strerror(errno);
}

SSL_CTX *
wire_tls_new(const char *ca_file)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 || SSL_CTX_load_verify_file(tls, ca_file) != 1)
		die("%s: %s", ca_file, reason());
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(tls, 1);		/* one system call for all of the records that have come */
	return tls;
}

static void
shake_hands(struct wire *w, const char *address, SSL_CTX *tls)
{
	char host[64] = "";
	const char *colon = strrchr(address, ':');

	memcpy(host, address, (size_t)(colon - address));
	w->ssl = SSL_new(tls);
	if (w->ssl == NULL || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), host) != 1 || SSL_set_fd(w->ssl, w->fd) != 1)
		die("TLS: %s", reason());
	fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) & ~O_NONBLOCK);
	if (SSL_connect(w->ssl) != 1)
		die("%s: TLS: %s", address, reason());
	set_socket(w->fd);
}

void
wire_open(struct wire *w, const char *address, SSL_CTX *tls)
{
	*w = (struct wire){.fd = connect_to(address)};
	if (tls != NULL)
		shake_hands(w, address, tls);
}

void
wire_close(struct wire *w)
{
	SSL_free(w->ssl);
	close(w->fd);
	*w = (struct wire){.fd = -1};
}

/* What OpenSSL says of a call that gave nothing, in the manners of recv. */
static ssize_t
nothing(struct wire *w, int result)
{
	switch (SSL_get_error(w->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t
wire_send(struct wire *w, const char *p, size_t n)
{
	size_t sent;

	if (w->ssl == NULL)
		return send(w->fd, p, n, MSG_NOSIGNAL);
	ERR_clear_error();
	int result = SSL_write_ex(w->ssl, p, n, &sent);
	return result == 1 ? (ssize_t)sent : nothing(w, result);
}

ssize_t
wire_recv(struct wire *w, char *p, size_t n)
{
	size_t used = 0;

	if (w->ssl == NULL)
		return recv(w->fd, p, n, 0);
	while (used < n) {
		size_t got;
		ERR_clear_error();
		int result = SSL_read_ex(w->ssl, p + used, n - used, &got);
		if (result != 1)
			return used > 0 ? (ssize_t)used : nothing(w, result);
		used += got;
	}
	return (ssize_t)used;
}
