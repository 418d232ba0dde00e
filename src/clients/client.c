#include "clients/client.h"

#include "base/str.h"

static const struct client *const clients[] = {&client_claude};

const struct client *
client_nth(size_t n)
{
	return n < sizeof clients / sizeof clients[0] ? clients[n] : NULL;
}

const struct client *
client_find(const char *name)
{
	const struct client *client;

	for (size_t n = 0; (client = client_nth(n)) != NULL; n++)
		if (str_equal(client->name, name))
			return client;
	return NULL;
}
