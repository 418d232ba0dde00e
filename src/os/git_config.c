#include "os/git_config.h"

#include "base/str.h"

#include <ctype.h>
#include <strings.h>

#define NAME_LIMIT 512

struct reader {
	const char *at;
	char section[NAME_LIMIT]; /* of the header we are under; "" when it is too long to be one we want */
	char subsection[NAME_LIMIT];
	bool has_subsection;
};

static void
put(char *out, size_t *len, char c)
{
	if (*len + 1 < NAME_LIMIT) {
		out[(*len)++] = c;
		out[*len] = '\0';
	} else
		out[0] = '\0';
}

static const char *
line_end(const char *at)
{
	return at + strcspn(at, "\n");
}

/* [section "subsection"]; what follows the bracket may be a key. */
static void
read_header(struct reader *reader)
{
	const char *at = reader->at + 1;
	size_t len = 0, sub_len = 0;

	reader->section[0] = reader->subsection[0] = '\0';
	reader->has_subsection = false;
	for (; *at != '\0' && strchr("]\" \t\n", *at) == NULL; at++)
		put(reader->section, &len, (char)tolower((unsigned char)*at));
	at += strspn(at, " \t");
	if (*at == '"') {
		reader->has_subsection = true;
		for (at++; *at != '\0' && *at != '"' && *at != '\n'; at++) {
			if (*at == '\\' && at[1] != '\0')
				at++;
			put(reader->subsection, &sub_len, *at);
		}
		at += *at == '"';
	}
	at += strspn(at, " \t");
	reader->at = *at == ']' ? at + 1 : line_end(at);
}

struct value {
	char *out;
	size_t size;
	size_t len;
	size_t solid; /* up to where no space at the end is to be cut */
	bool fits;
};

static void
value_add(struct value *value, char c, bool solid)
{
	if (value->len + 1 >= value->size) {
		value->fits = false;
		return;
	}
	value->out[value->len++] = c;
	if (solid)
		value->solid = value->len;
}

static char
unescaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	default:
		return c;
	}
}

/* From behind `=` to the end of the line, or of the last line that it goes on in. */
static const char *
read_value(const char *at, struct value *value)
{
	bool quoted = false;

	at += strspn(at, " \t");
	for (; *at != '\0' && *at != '\n'; at++) {
		if (*at == '"') {
			quoted = !quoted;
		} else if (*at == '\\' && at[1] == '\n') {
			at++;
		} else if (*at == '\\' && at[1] != '\0') {
			at++;
			value_add(value, unescaped(*at), true);
		} else if (!quoted && (*at == '#' || *at == ';')) {
			at = line_end(at);
			break;
		} else if (*at != '\r')
			value_add(value, *at, quoted || (*at != ' ' && *at != '\t'));
	}
	value->out[value->solid] = '\0';
	return at;
}

static bool
is_under(const struct reader *reader, const char *section, const char *subsection)
{
	if (!str_equal(reader->section, section))
		return false;
	if (subsection == NULL)
		return !reader->has_subsection;
	return reader->has_subsection && str_equal(reader->subsection, subsection);
}

/* One `key = value`.  Whether it is the wanted one, and its value then in `value`. */
static bool
read_item(struct reader *reader, bool wanted, const char *key, struct value *value)
{
	size_t len = 0;
	bool ours;

	while (isalnum((unsigned char)reader->at[len]) || reader->at[len] == '-')
		len++;
	ours = wanted && len == strlen(key) && strncasecmp(reader->at, key, len) == 0;
	reader->at += len;
	reader->at += strspn(reader->at, " \t");
	if (*reader->at == '=')
		reader->at = read_value(reader->at + 1, value);
	else {
		reader->at = line_end(reader->at);
		snprintf(value->out, value->size, "true");
	}
	return ours && value->fits;
}

bool
git_config_get(const char *text, const char *section, const char *subsection, const char *key, char *out, size_t size)
{
	struct reader reader = {.at = text};
	bool found = false;
	char room[4096];

	if (str_starts(text, "\xef\xbb\xbf"))
		reader.at += 3;
	for (;;) {
		struct value value = {.out = room, .size = sizeof room, .fits = true};

		reader.at += strspn(reader.at, " \t\r\n");
		if (*reader.at == '\0')
			return found;
		if (*reader.at == '[')
			read_header(&reader);
		else if (!isalpha((unsigned char)*reader.at)) /* a comment, or nothing that git would read */
			reader.at = line_end(reader.at);
		else if (read_item(&reader, is_under(&reader, section, subsection), key, &value) && str_copy(out, size, room) == OK)
			found = true;
	}
}

static const struct scheme {
	const char *name;
	const char *port;
} schemes[] = {{"ssh://", ":22"},   {"git+ssh://", ":22"}, {"ssh+git://", ":22"}, {"https://", ":443"}, {"http://", ":80"},
               {"git://", ":9418"}, {"ftp://", ":21"},     {"ftps://", ":990"},   {"file://", NULL}};

static const struct scheme *
scheme_of(const char *url)
{
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strncasecmp(url, schemes[i].name, strlen(schemes[i].name)) == 0)
			return &schemes[i];
	return NULL;
}

/* Splits at the end of the host.  True for "user@host:path" and scheme://host/path; false for a path. */
static bool
split(const char *url, const struct scheme *scheme, size_t *host_len, const char **path)
{
	size_t slash = strcspn(url, "/"), colon = strcspn(url, ":");

	if (scheme != NULL) {
		*host_len = slash;
		*path = url + slash;
		return true;
	}
	/* as git has it: a colon before the first slash makes it host:path; an IPv6 host stands in brackets */
	if (*url == '[' && strstr(url, "]:") != NULL)
		colon = (size_t)(strstr(url, "]:") - url) + 1;
	if (url[colon] == '\0' || slash < colon)
		return false;
	*host_len = colon;
	*path = url + colon + 1;
	return true;
}

static size_t
without_end(const char *path, size_t len)
{
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len > 4 && memcmp(path + len - 4, ".git", 4) == 0 && path[len - 5] != '/')
		len -= 4;
	return len;
}

enum status
git_url_normalise(const char *url, char *out, size_t size)
{
	const struct scheme *scheme = scheme_of(url);
	const char *rest = scheme == NULL ? url : url + strlen(scheme->name), *path = rest;
	size_t host_len = 0, port_len;
	int len;

	if (scheme != NULL && scheme->port == NULL)
		scheme = NULL; /* file://: what follows is a path */
	else if (split(rest, scheme, &host_len, &path)) {
		const char *user = memrchr(rest, '@', host_len);

		if (user != NULL) {
			host_len -= (size_t)(user + 1 - rest);
			rest = user + 1;
		}
		port_len = scheme == NULL ? 0 : strlen(scheme->port);
		if (port_len > 0 && host_len > port_len && memcmp(rest + host_len - port_len, scheme->port, port_len) == 0)
			host_len -= port_len;
		path += strspn(path, "/");
	}
	len = snprintf(out, size, "%.*s%s%.*s", (int)host_len, rest, host_len > 0 ? "/" : "", (int)without_end(path, strlen(path)),
	               path);
	if (len <= 0 || (size_t)len >= size)
		return BAD_INPUT;
	for (size_t i = 0; i < host_len; i++)
		out[i] = (char)tolower((unsigned char)out[i]);
	return OK;
}
