/* Any bytes as a configuration file: taken or refused with a line that names it, and what was set before is still there. */
#include "base/config.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	struct buf why;
	int64_t number;
	char *copy;

	if (size > 65536)
		return 0;
	copy = malloc(size + 1);
	memcpy(copy, data, size);
	copy[size] = '\0';
	buf_init(&why, WHY_MAX);
	config_init(&config);
	must(config_defaults(&config) == OK);
	if (config_add(&config, "fuzzed", copy, &why) != OK)
		must(strstr(why.data, "fuzzed") != NULL && strchr(why.data, '\n') == NULL);
	must(config_get(&config, "stile", "budget") != NULL && config_has(&config, "stile"));
	if (config_whole(&config, "stile", "budget", &number, &why) != OK)
		must(why.len > 0);
	if (config_duration(&config, "stile", "reap", &number, &why) == OK)
		must(number >= 0);
	config_release(&config);
	buf_release(&why);
	free(copy);
	return 0;
}
