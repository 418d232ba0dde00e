#include "core/lease_resource.h"

/* Each class is about 1.41 times as long as the one before; the last has everything over 6 days. */
#define CLASSES 60
#define KEPT_MAX 1000 /* when so many are counted all are halved, so that the last ones count most */

static int64_t
bound(unsigned class)
{
	int64_t whole = (int64_t)1 << class / 2;

	return class % 2 == 0 ? whole : whole * 1414 / 1000 + 1;
}

static unsigned
class_of(int64_t ms)
{
	unsigned class = 0;

	while (class < CLASSES - 1 && bound(class) < ms)
		class ++;
	return class;
}

static int64_t
parse(const char *text, int64_t counts[CLASSES])
{
	int64_t total = 0;

	memset(counts, 0, CLASSES * sizeof *counts);
	while (*text != '\0') {
		char *end;
		unsigned long class = strtoul(text, &end, 10);
		long long count = *end == ':' ? strtoll(end + 1, &end, 10) : 0;

		if (end == text || class >= CLASSES || count < 0)
			break;
		total += counts[class] = count;
		text = end + strspn(end, " ");
	}
	return total;
}

void
times_add(char text[TIMES_SIZE], int64_t ms)
{
	int64_t counts[CLASSES];
	bool halve = parse(text, counts) >= KEPT_MAX;
	size_t len = 0;

	counts[class_of(ms)]++;
	text[0] = '\0';
	for (unsigned i = 0; i < CLASSES && len < TIMES_SIZE; i++) {
		int64_t count = halve ? (counts[i] + 1) / 2 : counts[i];

		if (count > 0)
			len += (size_t)snprintf(text + len, TIMES_SIZE - len, "%s%u:%lld", len == 0 ? "" : " ", i, (long long)count);
	}
}

int64_t
times_percentile(const char *text, unsigned percent)
{
	int64_t counts[CLASSES], total = parse(text, counts), sum = 0;

	for (unsigned i = 0; i < CLASSES; i++) {
		sum += counts[i];
		if (total > 0 && sum * 100 >= total * percent)
			return bound(i);
	}
	return -1;
}
