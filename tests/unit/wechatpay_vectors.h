/* Vectors of WeChat Pay APIv3, made for these tests with Python's cryptography (OpenSSL below, none of our code): two fresh RSA keys of 2048 bits that
 * are no merchant's, a self-signed certificate of the second one, PKCS #1 v1.5 signatures with SHA-256, AES-256-GCM under APIV3_KEY. */
#ifndef VB_TESTS_UNIT_WECHATPAY_VECTORS_H
#define VB_TESTS_UNIT_WECHATPAY_VECTORS_H

#define APIV3_KEY "0123456789abcdefGHIJKLMNopqrstuv"
#define MERCHANT_SERIAL "3775B6A45ACD588826D15E583A95F5DD8B4A1A3F"
#define PLATFORM_SERIAL "PUB_KEY_ID_0116000000012026011500000000000001"
#define OUT_TRADE_NO "5f0c8e1d2b3a49788c6d7e8f90a1b2c3"

static const char merchant_key_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCyl+LoGn5x+JzP\n"
	"Qgs04+Mwz4IB/ba7OLNJjPWl8JP3GyHbdhEyTnBJolT8Wq5UkPAFX65hHluO1K5v\n"
	"eSIgG2pyy3HjVNGDYcFsP9qPdbYkzqZtC+kepBH7MXLcgzqBr+IzOfk5pvf2Ikhe\n"
	"X5izjIMMNRKiyRD8idoz7IMFqry0AiMmD5uMXockrr7VWtbQay9lv8vq1wn2l4pc\n"
	"8lD2zqhUo1AHyR8Db6mkY1niPKf0lYYj6dJ2jU4z9Uor63dUMTteC4vy+lt4bwB4\n"
	"CP8OO1sQgbRNVnECGNLqoselTnwwhHIyFLNCFLlAxm6HDIo2xlM9P+PP/P/hEMyP\n"
	"c4WM0VxTAgMBAAECggEABsibfH16eBHIGFybLbMfmhGyZSj3RpKXch/B5OpdHxxk\n"
	"uNVPPz3uKJ3bOd/9PIZqLN9phumESMnt+5tPnzCWES4xG+rI2oNdZCM4xgzj55oB\n"
	"2vqCLFZxvbzZxA59Vm0RMSjukoYJEnb9kLgeML5m6+Zy2BloZRnyCS7epdnKY9FG\n"
	"BjPm12qSWQzMVJC7ljfhRYcDtfu39ai0hYaJThyiPb4Pet2RbHs1cD3b9MmyOp5R\n"
	"G8DzjswY9ywvJZo1p2ZZv/o75Hf/dlHsXSAYJ9qLetyuWGki3zv+xQO86cEmETJa\n"
	"fUDYh+s8detP5hw0Q/hfYxNFSSkxD4t3IyW55F5mQQKBgQDjbUdxwI7x+waP0WKj\n"
	"fWuYXLMubKdkseLpj0qrvMlA2201Ht3bM9MtiKTUcFmZAhumaeUzAsXjR+Hm/G1i\n"
	"oO3dMiipwzkpgSBoEM2BavOfBWd1/d8Qo10DKxWgoeDJkEVvEli4JoNT4EJwf/wG\n"
	"To3iRlAWdtQTPu1vqiwZ0n5yGwKBgQDJB/mxVtc3jL6HdCj/vQu1d8++kqzoud+Y\n"
	"nv6PxP8yk160HOqMry+wi0svMw3NpX8czjyjUUK2I1pzUaHx+xzbQhnhomWbciji\n"
	"0bnrVn2NsJZ8UBFvJAa/DZaNbKkWnkiBc07JzbVrSpmbbiq8G5MBaDKKqhRD5ure\n"
	"V0XOPNSiKQKBgAh3oRlTGf9YYT4phYqguMjLasBnuzO8i742X4lVVgjcIoy/wXLP\n"
	"0yT22WwvYqaXtX/UoXvstoFnw7ld3JS3eSOrImhvpEkvTY2SUpRm7vsUsG1sLkno\n"
	"SyY7DGsWm8/lVzBzdmokxO7ygoa9vRxfAFlUVNcBRZQR27U0mL+9XofRAoGBAIUH\n"
	"agwYU0LHOC2aiKbzCpSDPE338cPvfC8ax4mL6vQk4T5/BBcktoI1KwOI3VGAeqUt\n"
	"NKM+Ws78hhZZprjiWy4ch9PwCxzaZoPyFP3OtjbU7EBHG8JYLL6w1zeu+BWnmINR\n"
	"MooIPk1JiGx6cn0YIieENC3ebpqgbDvFtMPNLUhBAoGBAKjs3gqQC6Kom+se2zEh\n"
	"/CyIIHbY/EjEzAWkfumJQUjP5P227c3RpLqlbSmS0mHmKQk+unJdbeIQIJelw87+\n"
	"Q4Bx5y3y3G8imgcPvqAzfjH1SZ3icl+KMxQf4re7QSqdiIqQFaXA2cbGKoPKnDJF\n"
	"hOSEjwIDhcEnxOeG7l/VEH32\n"
	"-----END PRIVATE KEY-----\n";

static const char platform_public_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA67/iKrF1epFBDL1QGtkZ\n"
	"wPMGv2GaQpE9BuW3H806+CMF8OjU4qCZYFjNGzLK8m84N8QCy0Zr+qY+uWapxrl4\n"
	"VPoleriOhlWOFh2ZTQnT/zkvhxMvGJ2EJ/b8R0dZSTb8Q786cR3gaDBIgfWmksjw\n"
	"PlEl6nBltaMe+8rh07QKO97Du9cDccj9+AMnzjOS6wSUH6MnO0ooDVtAgYnhsOxi\n"
	"r486PyFSNUDOssMTDclfQKmhS2RdMUC7QipZPkHfUCSEoRO4PyT5b1BT8Ea0nPaG\n"
	"6ciUCP13Ssdtteshx2skV6iqK9MOnJApY4I0z2siVOAvzHmf1EAczlfS1YYFokar\n"
	"9wIDAQAB\n"
	"-----END PUBLIC KEY-----\n";

static const char platform_certificate_pem[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIICvjCCAaagAwIBAgIUUVfwnv3Alt4V6+gaRwV6cjLxuOEwDQYJKoZIhvcNAQEL\n"
	"BQAwGTEXMBUGA1UEAwwOdmlzaXRiaWxsIHRlc3QwHhcNMjQwMTAxMDAwMDAwWhcN\n"
	"MzQwMTAxMDAwMDAwWjAZMRcwFQYDVQQDDA52aXNpdGJpbGwgdGVzdDCCASIwDQYJ\n"
	"KoZIhvcNAQEBBQADggEPADCCAQoCggEBAOu/4iqxdXqRQQy9UBrZGcDzBr9hmkKR\n"
	"PQbltx/NOvgjBfDo1OKgmWBYzRsyyvJvODfEAstGa/qmPrlmqca5eFT6JXq4joZV\n"
	"jhYdmU0J0/85L4cTLxidhCf2/EdHWUk2/EO/OnEd4GgwSIH1ppLI8D5RJepwZbWj\n"
	"HvvK4dO0Cjvew7vXA3HI/fgDJ84zkusElB+jJztKKA1bQIGJ4bDsYq+POj8hUjVA\n"
	"zrLDEw3JX0CpoUtkXTFAu0IqWT5B31AkhKETuD8k+W9QU/BGtJz2hunIlAj9d0rH\n"
	"bbXrIcdrJFeoqivTDpyQKWOCNM9rIlTgL8x5n9RAHM5X0tWGBaJGq/cCAwEAATAN\n"
	"BgkqhkiG9w0BAQsFAAOCAQEAZ0A6/cA5UIq+vRVH9BmK9Zo+nkR+bQkAs96dajvt\n"
	"Do2PdlAMjFTqnGVyCXZmH3MRoXkt3kBuuGiFtE6TBtLsXcBLuU9ImQbXlb+OWe1R\n"
	"TlggZvuivn3g4AhKC2HZ0afUubIcjEqMf2ipOPdWBWuFGlLKSvDkaTq0FIw26LJs\n"
	"ReQ/OvRszkmoN6qdehFBkWhds0DOGc6JEa4j7djD04bZp1msz07krw5C7LvpuvID\n"
	"kOeEaxKP48FtMB6B+olM6f7VKUcKn2XJVGYhnqYQxrsg0kU3f8OOJ4drkjq0JngE\n"
	"Z5L8zaTwuIqYp69QdHCAdjmrMe04pX/WdPdmFpWF3leSzA==\n"
	"-----END CERTIFICATE-----\n";

static const char native_body[] =
	"{\"appid\":\"wx0123456789abcdef\",\"mchid\":\"1600000001\",\"description\":\"测试医院 H01-2026-000001\",\"out_trade_n"
	"o\":\"5f0c8e1d2b3a49788c6d7e8f90a1b2c3\",\"time_expire\":\"2026-01-15T18:00:00+08:00\",\"notify_url\":\"https:"
	"//hospital.example/notify/wechatpay/main\",\"amount\":{\"total\":1250,\"currency\":\"CNY\"}}";

static const char post_signature[] =
	"g+LmZNELW1zJ3xuhiaJGxakhunAvhPLEyHL4mzarcil2ruY0RZqPdZSb/LQZ5rN0VGIDF3OiAuarttw62t3F74NhZbUdTeYkvWInK4ZHTktLJEUYo9379uthmKNuzH7N+9"
	"5kjR0IvCuFDA5ox56JVPxwDfSK32xlyycAYQ77xrIqLykT20YbUAZbiF0+E8y5PLyTaHQiWgjzGX2Z0BPIfvsi3y/8GadhH11C+M3bodNSuuNLswPfY7HiQwdzb2G4Jolj"
	"hnq4ShsU2zbO3XSNG5+wv9GMvpheGcWGZruz7xhQeDSt8EF/58fIHBb3H3PtfFF53+BpNojcJ74J1FI4/w==";

static const char get_signature[] =
	"SNTQb2bunUOwEaKml2Pb/naXD5HE7Ul3FVkpYjwajqCAId4uafqc9xuJHVY9EeRNHbL0vGJJMKUXSnNGI3hIfwuSmUi0xp9YADad51XDz1VHNYbH8DN0P3yYOb09mpQELC"
	"9qVHFTcm5DLQ/TYFdj7gfzgOyWVDk5s5LVTR4kshRg9cc/LOI71xWZAAFNlIbdvijfyikTcYHTHYJJdAxaQsulk8N3Iywg4sehbK3MqWBmRObO9Lo0JKhVtZmUWKIV00aT"
	"lCCHItMltqeH8KxCjDsAKCpGRA0od3BcqtXxmb/ZWpw6Yq9gRskmHP9QtFBuRTBMgDC4vKrwfbssokmj7w==";

static const char transaction_json[] =
	"{\"mchid\":\"1600000001\",\"appid\":\"wx0123456789abcdef\",\"out_trade_no\":\"5f0c8e1d2b3a49788c6d7e8f90a1b2c3\""
	",\"transaction_id\":\"4200002026202601150123456789\",\"trade_type\":\"NATIVE\",\"trade_state\":\"SUCCESS\",\"trad"
	"e_state_desc\":\"支付成功\",\"bank_type\":\"OTHERS\",\"attach\":\"\",\"success_time\":\"2026-01-15T14:30:05+08:00\",\"pa"
	"yer\":{\"openid\":\"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\"},\"amount\":{\"total\":1250,\"payer_total\":1000,\"currency\":"
	"\"CNY\",\"payer_currency\":\"CNY\"}}";

static const char notification_body[] =
	"{\"id\":\"EV-2018022511223320873\",\"create_time\":\"2026-01-15T14:30:06+08:00\",\"resource_type\":\"encrypt-re"
	"source\",\"event_type\":\"TRANSACTION.SUCCESS\",\"summary\":\"支付成功\",\"resource\":{\"original_type\":\"transaction"
	"\",\"algorithm\":\"AEAD_AES_256_GCM\",\"ciphertext\":\"htFYUE2ZaE0Ze3ZmgGL0JHPV7d9ZMeSW8nTyzY2Zz9aBJ9uUAhT4p"
	"mCdmVV6hArxmyKPWjvI9eiuiYaGfk5xzwA3ZKWFmMhq31lUqKRy2Y+wjy2n+zOyvpE6a/mMWbSWnOk+RUVUrT65kXtpimBmicBtw"
	"/QQa5kD6TlVEM/HGfMR/IIHN/pYiH0+fdf/Q7MGoigzTdVxkSHY0qNMUjpwip3CJ8Xhlb67CN+yrEmLjHft2P1hzeGp5geLqpxFO"
	"BFWrDoyx9tgmISLsB1U5aMmE3aDoBymoVBuZb/HAxZH70QyZm8RxLvBK8yw3Vxz1mk7hYn7qyKf7xpUXh/lMuGXwEGesV1txYJyl"
	"52dVhFoKWjvZ/hAXjMoJR1SpkDxMcfWrGmm1aGPnkgUXsLk28EE4o9Gv4N086cfrg9N5fQc6FCwazto7JYF65w7hZVFZCXtTedF2"
	"IqBrA1Ry0B6H4qjVHDW8QMogXIEBD9OFhq5LUB8jg7ugL2eyRk7oprJI9FgaUJ4UO6h0kCWBWlP2pwLzJEVMh4djW2ioTFCWhORo"
	"es+ixlotSGS102h4g9oivIvHlzImSnIh/NhJAEl7+2ZoX31jEseAg==\",\"associated_data\":\"transaction\",\"nonce\":\"fd"
	"asflkja484\"}}";

static const char notification_signature[] =
	"UdNWOR7DHWEOfL378/nSZc9qWhWQrHdYW+VuTThvq9emuVj9xCi4UmszovkGsHnNvtLVW94TnkyKcL598hq5FxjXKn4RtSGJHWDO+gDAcInfMl5Q3YPevA41Wo6Hn6Glh0"
	"MLKUarCTR7TQUQcOrYn3hMoBdgqzJEeKMQRouFxMRh1vvN3tUGhNNhCTANJhxHs5Dfetqmz1ynCErNmKX8gKgHeZHSqTx2jdbmr3vt8VIUnRuzHHR30EJuNN5aREeRSW/4"
	"R7RMg/wIX6m93AKcyLSFl5PR8DfFiQKy6PMmb9GoFMXitFXSCQUyhTQdAwui0E0y+3i3LVJ2hPgZPRTT4g==";

static const char empty_signature[] =
	"ZQOjxE2OMqTZOPMQd4KZsXXSmdewvzmprTL4ZJQ4Kg2nvi8RSnBf5tT9/pZBcuj0jx9zliqw3HvA0BjptLHDkmHS/760QKOmrJZjtK31Y+LpJLIkTzY+h53O+h2rW5WVu+"
	"l4xNZPydvk44njkv4557GNYxnAQLO62bWnE0rLzzBAuLQdDWN77l41IJXUJ+0GOY5dXe2a0dDghbVR9DE0IZWmtY7puqS/OrPsss2c+lwc+4oi4tZ17JGiHHjzO/FAAKfA"
	"FRSmlVSZYV0I4DWdhHtTcH8OTYs9mmCb/rHzG260X9oI5VJEybq7FpBOi0dqHOppW03njcb/ksiDcdN8Gw==";

static const char sealed_without_data[] =
	"tZZZX0rcLIubz6DFPHruF6QydV0By08T4kCK4yg=";

static const char sealed_nothing[] =
	"rMEPor+VxpmfL3+jX2vNJg==";

#endif
