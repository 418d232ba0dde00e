#include "core/pressure.h"

#define FIELD_MAX 100

/* The fields of "0.35 budget" or "0.30 MONITOR 1.3"; how many there are, at most 3. */
static int
split(const char *value, char fields[3][FIELD_MAX])
{
	int count = 0;

	while (*value != '\0' && count < 3) {
		size_t len = strcspn(value, " \t");

		if (len >= FIELD_MAX)
			return -1;
		if (len > 0) {
			memcpy(fields[count], value, len);
			fields[count++][len] = '\0';
		}
		value += len;
		value += strspn(value, " \t");
	}
	return *value == '\0' ? count : -1;
}

static const struct {
	const char *metric;
	double weight;
	double many; /* from this value on each weighs more */
	double weight_of_many;
} factors[] = {
	{"dependencies", .2, 8, .3},
	{"file_modifications", .1, 10, .15},
	{"concurrent_operations", .2, 5, .4},
	{"subtasks_pending", .1, 10, .2},
};

static double
weigh_depth(double depth)
{
	return depth * (depth >= 3 ? .8 : depth >= 2 ? .5 : .3);
}

double
pressure_complexity(const struct metric_values *values)
{
	double sum = weigh_depth(metric_now(values, "task_depth")), tasks = metric_now(values, "active_tasks");
	bool any = metric_has(values, "task_depth");

	for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
		double value = metric_now(values, factors[i].metric);

		any = any || metric_has(values, factors[i].metric);
		sum += value * (value >= factors[i].many ? factors[i].weight_of_many : factors[i].weight);
	}
	if (!any)
		return metric_now(values, "complexity");
	return sum > 0 ? sum : tasks > 0 ? tasks : 1;
}

static enum status
bad(const struct config_item *item, struct buf *why)
{
	return why_not(why, BAD_CONFIG,
	               "config: [%s] %s = %s: a metric has \"weight full-value\", a level \"score ADVICE verification\", a halt "
	               "or a metric's recommendation \"share WORD\", a level's \"WORD\"",
	               item->section, item->key, item->value);
}

/* How much of its full value the metric has; may pass 1. */
static enum status
share_of(const struct config_item *item, const char *full, const struct metric_values *values, int64_t budget, double *out,
         struct buf *why)
{
	double limit = (double)budget;

	if (strcmp(full, "budget") != 0 && str_number(full, &limit) != OK)
		return bad(item, why);
	if (limit <= 0)
		return bad(item, why);
	*out = (str_equal(item->key, "complexity") ? pressure_complexity(values) : metric_now(values, item->key)) / limit;
	return OK;
}

static enum status
add_weight(const struct config_item *item, const struct metric_values *values, int64_t budget, struct pressure *out,
           double *weights, struct buf *why)
{
	char fields[3][FIELD_MAX];
	double weight, share;

	if (split(item->value, fields) != 2 || str_number(fields[0], &weight) != OK || weight < 0 || weight > 1)
		return bad(item, why);
	if (share_of(item, fields[1], values, budget, &share, why) != OK)
		return BAD_CONFIG;
	*weights += weight;
	out->score += weight * (share < 0 ? 0 : share > 1 ? 1 : share);
	return OK;
}

/* The highest level that the score reaches. */
static enum status
try_level(const struct config_item *item, double *reached, struct pressure *out, struct buf *why)
{
	char fields[3][FIELD_MAX];
	double from, verification;

	if (split(item->value, fields) != 3 || str_number(fields[0], &from) != OK || str_number(fields[2], &verification) != OK)
		return bad(item, why);
	/* a score is a sum of products: 0.3 must reach 0.30 */
	if (out->score + 1e-9 < from || from < *reached)
		return OK;
	*reached = from;
	out->verification = verification;
	snprintf(out->level, sizeof out->level, "%s", item->key + strlen("level."));
	snprintf(out->advice, sizeof out->advice, "%s", fields[1]);
	return OK;
}

/* "share WORD": whether the metric that this is about, which must have a weight, has come to that share. */
static enum status
passes(const struct config *config, const struct config_item *item, const struct metric_values *values, int64_t budget,
       char word[FIELD_MAX], bool *out, struct buf *why)
{
	const char *metric = strchr(item->key, '.') + 1, *weighted = config_get(config, item->section, metric);
	struct config_item measured = {item->section, (char *)(uintptr_t)metric, (char *)(uintptr_t)weighted};
	char fields[3][FIELD_MAX], weight[3][FIELD_MAX];
	double from, share;

	if (split(item->value, fields) != 2 || str_number(fields[0], &from) != OK || weighted == NULL ||
	    split(weighted, weight) != 2)
		return bad(item, why);
	if (share_of(&measured, weight[1], values, budget, &share, why) != OK)
		return BAD_CONFIG;
	memcpy(word, fields[1], FIELD_MAX);
	*out = share + 1e-9 >= from;
	return OK;
}

static void
recommend(struct pressure *out, const char *word)
{
	for (size_t i = 0; i < out->recommended; i++)
		if (str_equal(out->recommendations[i], word))
			return;
	if (out->recommended < PRESSURE_RECOMMENDATIONS_MAX)
		snprintf(out->recommendations[out->recommended++], LABEL_MAX + 1, "%s", word);
}

static enum status
try_halt(const struct config *config, const struct config_item *item, const struct metric_values *values, int64_t budget,
         struct pressure *out, struct buf *why)
{
	char word[FIELD_MAX];
	bool halts;

	if (passes(config, item, values, budget, word, &halts, why) != OK)
		return BAD_CONFIG;
	if (halts) {
		snprintf(out->advice, sizeof out->advice, "%s", word);
		recommend(out, word);
	}
	return OK;
}

/* For a level its word; for a metric a share of its full value and the word. */
static enum status
try_recommendation(const struct config *config, const struct config_item *item, const struct metric_values *values,
                   int64_t budget, struct pressure *out, struct buf *why)
{
	const char *of = strchr(item->key, '.') + 1;
	char level[FIELD_MAX + sizeof "level."], fields[3][FIELD_MAX];
	bool passed = str_equal(of, out->level);

	snprintf(level, sizeof level, "level.%s", of);
	if (config_get(config, item->section, level) == NULL) {
		if (passes(config, item, values, budget, fields[0], &passed, why) != OK)
			return BAD_CONFIG;
	} else if (split(item->value, fields) != 1) {
		return bad(item, why);
	}
	if (passed)
		recommend(out, fields[0]);
	return OK;
}

static enum status
no_profile(const struct config *config, const char *profile, struct buf *why)
{
	char names[WHY_MAX / 2] = "", last[LABEL_MAX + 1] = "";
	size_t len = 0;

	for (size_t i = 0; i < config->count && len < sizeof names; i++) {
		const char *section = config->items[i].section;

		if (!str_starts(section, "profile ") || str_equal(section + 8, last))
			continue;
		snprintf(last, sizeof last, "%s", section + 8);
		len += (size_t)snprintf(names + len, sizeof names - len, " %s", last);
	}
	return why_not(why, BAD_INPUT, "no profile %s; there are:%s", profile, names);
}

/* Everything of the profile but its weights, once the score is known. */
static enum status
follow(const struct config *config, const char *section, const struct metric_values *values, int64_t budget,
       struct pressure *out, struct buf *why)
{
	enum status status = OK;
	double reached = -1;

	for (size_t i = 0; i < config->count && status == OK; i++)
		if (str_equal(config->items[i].section, section) && str_starts(config->items[i].key, "level."))
			status = try_level(&config->items[i], &reached, out, why);
	for (size_t i = 0; i < config->count && status == OK; i++)
		if (str_equal(config->items[i].section, section) && str_starts(config->items[i].key, "recommend."))
			status = try_recommendation(config, &config->items[i], values, budget, out, why);
	for (size_t i = 0; i < config->count && status == OK; i++)
		if (str_equal(config->items[i].section, section) && str_starts(config->items[i].key, "halt."))
			status = try_halt(config, &config->items[i], values, budget, out, why);
	if (status == OK && reached < 0)
		status = why_not(why, BAD_CONFIG, "config: [%s] has no level that holds from 0", section);
	return status;
}

enum status
pressure_of(const struct config *config, const char *profile, const struct metric_values *values, int64_t budget,
            struct pressure *out, struct buf *why)
{
	struct pressure found = {.verification = 1};
	char section[LABEL_MAX + 20];
	enum status status = OK;
	double weights = 0;

	if (str_copy(found.profile, sizeof found.profile, profile) != OK)
		return why_not(why, BAD_INPUT, "the profile's name is longer than %d bytes", LABEL_MAX);
	snprintf(section, sizeof section, "profile %s", profile);
	if (!config_has(config, section))
		return no_profile(config, profile, why);
	found.tokens = budget > 0 ? metric_now(values, "context_tokens") / (double)budget : 0;
	for (size_t i = 0; i < config->count && status == OK; i++)
		if (str_equal(config->items[i].section, section) && strchr(config->items[i].key, '.') == NULL)
			status = add_weight(&config->items[i], values, budget, &found, &weights, why);
	/* thirds don't add up to 1 exactly */
	if (status == OK && weights > 1 + 1e-9)
		status = why_not(why, BAD_CONFIG, "config: [%s] has weights that add up to %g; a score is at most 1", section, weights);
	if (status == OK)
		status = follow(config, section, values, budget, &found, why);
	if (status == OK)
		*out = found;
	return status;
}

static const char *
trend_of(const struct metric_noted *noted)
{
	const struct metric_note *last = noted->items;

	if (noted->count == METRIC_NOTED && last[0].value > last[1].value && last[1].value > last[2].value)
		return "escalating";
	if (noted->count == METRIC_NOTED && last[0].value < last[1].value && last[1].value < last[2].value)
		return "improving";
	return "stable";
}

enum status
pressure_check(struct txn *txn, const struct session *session, const char *profile, struct metric_values *values,
               struct pressure *out, struct buf *why)
{
	struct metric_noted noted;
	struct pressure found;
	char name[LABEL_MAX + 20];
	enum status status;

	snprintf(name, sizeof name, "pressure %s", profile);
	status = metric_load_noted(txn, session->id, name, values, &noted, why);
	if (status != OK)
		return status;
	status = pressure_of(txn->config, profile, values, session->budget, &found, why);
	if (status != OK) {
		metric_values_release(values);
		return status;
	}
	metric_add(txn, session->id, "pressure_checks", 1);
	metric_note(txn, session->id, name, found.score, &noted);
	found.trend = trend_of(&noted);
	*out = found;
	return OK;
}

json_t *
pressure_json(const struct pressure *pressure)
{
	json_t *recommendations = json_array();

	for (size_t i = 0; i < pressure->recommended; i++)
		json_array_append_new(recommendations, json_string(pressure->recommendations[i]));
	return json_pack("{ss sf sf ss ss sf ss* so}", "profile", pressure->profile, "score", pressure->score, "tokens",
	                 pressure->tokens, "level", pressure->level, "advice", pressure->advice, "verification",
	                 pressure->verification, "trend", pressure->trend, "recommendations", recommendations);
}
