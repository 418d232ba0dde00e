/*
 * Settings from INI texts (libinih): [section] key = value.  A later text overrides an earlier one, key by key.
 * The built-in text (config_default.ini) is always first, so every setting that we read has a value.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_TEXT_MAX ((size_t)256 << 10)

struct config_item {
	char *section;
	char *key;
	char *value;
};

struct config {
	struct config_item *items;
	size_t count;
	size_t cap;
};

void config_init(struct config *config); /* empty: holds nothing, not even the built-in text */
void config_release(struct config *config);

/* Adds the built-in settings.  NO_MEMORY only. */
enum status config_defaults(struct config *config) MUST_CHECK;

/* Adds one text.  BAD_CONFIG with `why` naming `name` and the line. */
enum status config_add(struct config *config, const char *name, const char *text, struct buf *why) MUST_CHECK;

/* The value, or NULL.  It belongs to `config`. */
const char *config_get(const struct config *config, const char *section, const char *key);

/* As its type.  BAD_CONFIG with `why` when it is absent or of another type. */
enum status config_whole(const struct config *config, const char *section, const char *key, int64_t *out,
                         struct buf *why) MUST_CHECK;
enum status config_duration(const struct config *config, const char *section, const char *key, int64_t *ms,
                            struct buf *why) MUST_CHECK;

/* Whether any item stands in `section`. */
bool config_has(const struct config *config, const char *section);

#endif
