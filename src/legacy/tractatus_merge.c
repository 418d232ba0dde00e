#include "legacy/tractatus_merge.h"

#include "base/str.h"

/* The documents, each with its entries by key. */
struct sides {
	json_t *base;
	json_t *ours;
	json_t *theirs;
};

const char *
merge_kind_name(enum merge_kind kind)
{
	static const char *const names[] = {"add", "edit", "retire", "conflict"};

	return names[kind];
}

static const char *
id_of(const json_t *entry)
{
	return json_text(entry, "id", "");
}

static json_t *
by_id(const json_t *entries)
{
	json_t *index = json_object(), *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
		if (*id_of(entry) != '\0' && json_object_set(index, id_of(entry), entry) != 0) {
			json_decref(index);
			return NULL;
		}
	return index;
}

static bool
has_the_same(const json_t *entries, const json_t *wanted)
{
	json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
		if (json_equal(entry, wanted))
			return true;
	return false;
}

static void
add(struct merge *out, struct merge_step step)
{
	out->steps[out->count++] = step;
}

static void
merge_both_added(const json_t *ours, const json_t *theirs, struct merge *out)
{
	if (str_equal(json_text(ours, "text", ""), json_text(theirs, "text", "")))
		add(out, (struct merge_step){MERGE_CONFLICT, id_of(ours), "", ours, theirs});
	else
		add(out, (struct merge_step){MERGE_ADD, "", id_of(theirs), NULL, theirs});
}

static void
merge_entry(const struct sides *sides, const json_t *theirs, struct merge *out)
{
	const char *id = id_of(theirs);
	const json_t *base = json_object_get(sides->base, id), *ours = json_object_get(sides->ours, id);

	if (ours == NULL)
		add(out, (struct merge_step){MERGE_ADD, id, "", NULL, theirs});
	else if (json_equal(ours, theirs) || (base != NULL && json_equal(base, theirs)))
		return;
	else if (base == NULL)
		merge_both_added(ours, theirs, out);
	else
		add(out, (struct merge_step){json_equal(base, ours) ? MERGE_EDIT : MERGE_CONFLICT, id, "", ours, theirs});
}

static void
merge_missing(const struct sides *sides, struct merge *out)
{
	const char *id;
	json_t *base;

	json_object_foreach(sides->base, id, base)
	{
		const json_t *ours = json_object_get(sides->ours, id);

		if (json_object_get(sides->theirs, id) != NULL || ours == NULL || json_is_false(json_object_get(ours, "active")))
			continue;
		add(out, (struct merge_step){json_equal(base, ours) ? MERGE_RETIRE : MERGE_CONFLICT, id_of(ours), "", ours, NULL});
	}
}

enum status
merge_three(const json_t *base, const json_t *ours, const json_t *theirs, bool whole, struct merge *out)
{
	struct sides sides = {by_id(base), by_id(ours), by_id(theirs)};
	json_t *entry;
	size_t i;

	*out = (struct merge){.steps = calloc(json_array_size(base) + json_array_size(theirs) + 1, sizeof *out->steps)};
	if (out->steps != NULL && sides.base != NULL && sides.ours != NULL && sides.theirs != NULL) {
		json_array_foreach(theirs, i, entry)
		{
			if (*id_of(entry) != '\0')
				merge_entry(&sides, entry, out);
			else if (!has_the_same(base, entry))
				add(out, (struct merge_step){MERGE_ADD, "", "", NULL, entry});
		}
		if (whole)
			merge_missing(&sides, out);
	} else {
		merge_release(out);
	}
	json_decref(sides.base);
	json_decref(sides.ours);
	json_decref(sides.theirs);
	return out->steps == NULL ? NO_MEMORY : OK;
}

void
merge_release(struct merge *merge)
{
	free(merge->steps);
	*merge = (struct merge){0};
}
