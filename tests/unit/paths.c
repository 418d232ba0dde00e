/*
 * A codebase is found by walking the folders as git does; all its worktrees share one store, two codebases in one store have
 * two names.
 *
 * Rows: R8
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/paths.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM (PATH_SIZE + 300)
#define COMMIT "0123456789012345678901234567890123456789"

struct scene {
	char top[PATH_SIZE]; /* links resolved */
	char *folder;
	struct place place;
	struct store_address store;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	*state = scene;
	scene->folder = scratch_folder();
	buf_init(&scene->why, WHY_MAX);
	return realpath(scene->folder, scene->top) == NULL;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	buf_release(&scene->why);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

/* Makes the file, and the folders it stands in; with NULL text a folder. */
static void
put(const struct scene *scene, const char *name, const char *text)
{
	char path[ROOM];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	for (char *slash = strchr(path + strlen(scene->top) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	if (text == NULL) {
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* `text` with the scene's folder for %s. */
static void
put_path(const struct scene *scene, const char *name, const char *before, const char *path)
{
	char text[ROOM];

	snprintf(text, sizeof text, "%s%s/%s\n", before, scene->top, path);
	put(scene, name, text);
}

static void
find(struct scene *scene, const char *name)
{
	char path[ROOM];

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	if (paths_find(path, &scene->place, &scene->why) != OK)
		fail_msg("%s: %s", path, scene->why.data);
}

static enum status
finds(struct scene *scene, const char *name)
{
	char path[ROOM];

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	return paths_find(path, &scene->place, &scene->why);
}

static void
is(const struct scene *scene, const char *path, const char *wanted)
{
	if (wanted == NULL) {
		assert_string_equal(path, "");
		return;
	}
	assert_true(str_starts(path, scene->top));
	assert_string_equal(path + strlen(scene->top), wanted);
}

/* A repository with two linked worktrees: one beside it, one in it with relative pointers. */
static void
make_repository(const struct scene *scene)
{
	put(scene, "repo/.git/HEAD", "ref: refs/heads/main\n");
	put(scene, "repo/src/deep/file", "");
	put(scene, "repo/.git/worktrees/beside/HEAD", "ref: refs/heads/topic/one\n");
	put(scene, "repo/.git/worktrees/beside/commondir", "../..\n");
	put_path(scene, "repo/.git/worktrees/beside/gitdir", "", "beside/.git");
	put_path(scene, "beside/.git", "gitdir: ", "repo/.git/worktrees/beside");
	put(scene, "repo/.git/worktrees/inside/HEAD", COMMIT "\n");
	put(scene, "repo/.git/worktrees/inside/commondir", "../..\n");
	put(scene, "repo/.git/worktrees/inside/gitdir", "../../../trees/inside/.git\n");
	put(scene, "repo/trees/inside/.git", "gitdir: ../../.git/worktrees/inside\n");
}

static void
the_main_worktree_is_found_from_any_folder_in_it(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	find(scene, "repo/src/deep");
	is(scene, scene->place.root, "/repo");
	is(scene, scene->place.git, "/repo/.git");
	is(scene, scene->place.common, "/repo/.git");
	assert_string_equal(scene->place.worktree, "");
	assert_string_equal(scene->place.branch, "main");
}

static void
a_linked_worktree_shares_the_common_folder(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	find(scene, "beside");
	is(scene, scene->place.root, "/beside");
	is(scene, scene->place.git, "/repo/.git/worktrees/beside");
	is(scene, scene->place.common, "/repo/.git");
	assert_string_equal(scene->place.worktree, "beside");
	assert_string_equal(scene->place.branch, "topic/one");
	find(scene, "repo/trees/inside");
	is(scene, scene->place.root, "/repo/trees/inside");
	is(scene, scene->place.common, "/repo/.git");
	assert_string_equal(scene->place.worktree, "inside");
	assert_string_equal(scene->place.branch, COMMIT);
}

static void
a_submodule_is_a_codebase_of_its_own(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	put(scene, "repo/.git/modules/part/HEAD", "ref: refs/heads/main\n");
	put(scene, "repo/part/.git", "gitdir: ../.git/modules/part\n");
	find(scene, "repo/part");
	is(scene, scene->place.root, "/repo/part");
	is(scene, scene->place.common, "/repo/.git/modules/part");
	assert_string_equal(scene->place.worktree, "");
}

static void
links_on_the_way_lead_to_the_same_place(void **state)
{
	struct scene *scene = *state;
	char link[ROOM], to[ROOM];

	make_repository(scene);
	snprintf(link, sizeof link, "%s/short", scene->top);
	snprintf(to, sizeof to, "%s/repo/src", scene->top);
	assert_int_equal(symlink(to, link), 0);
	find(scene, "short/deep");
	is(scene, scene->place.root, "/repo");
	snprintf(link, sizeof link, "%s/linked/.git", scene->top);
	snprintf(to, sizeof to, "%s/repo/.git", scene->top);
	put(scene, "linked", NULL);
	assert_int_equal(symlink(to, link), 0);
	find(scene, "linked");
	is(scene, scene->place.root, "/linked");
	is(scene, scene->place.common, "/repo/.git");
}

static void
without_git_it_is_the_nearest_folder_with_a_store_else_the_folder_itself(void **state)
{
	struct scene *scene = *state;

	put(scene, "plain/in/deep", NULL);
	find(scene, "plain/in");
	is(scene, scene->place.root, "/plain/in");
	is(scene, scene->place.common, NULL);
	put(scene, "plain/.stile", NULL);
	find(scene, "plain/in/deep");
	is(scene, scene->place.root, "/plain");
	is(scene, scene->place.git, NULL);
}

static void
a_git_folder_without_a_head_is_passed_over_as_git_does(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	put(scene, "repo/src/.git", NULL);
	find(scene, "repo/src");
	is(scene, scene->place.root, "/repo");
	put(scene, "repo/src/.git/HEAD", "nonsense\n");
	find(scene, "repo/src");
	is(scene, scene->place.root, "/repo");
}

static void
a_git_file_that_leads_nowhere_is_bad_input(void **state)
{
	struct scene *scene = *state;

	put(scene, "a/.git", "gitdir: ../gone\n");
	assert_int_equal(finds(scene, "a"), BAD_INPUT);
	assert_non_null(strstr(scene->why.data, "../gone"));
	put(scene, "b/.git", "hello\n");
	assert_int_equal(finds(scene, "b"), BAD_INPUT);
	put(scene, "c/.git", "");
	assert_int_equal(finds(scene, "c"), BAD_INPUT);
	assert_int_equal(finds(scene, "d"), NO_SUCH);
	assert_int_equal(finds(scene, "a/.git"), NO_SUCH);
}

static void
a_branch_is_named_before_its_first_commit_and_unknown_where_refs_are_no_files(void **state)
{
	struct scene *scene = *state;

	put(scene, "repo/.git/HEAD", "ref: refs/heads/unborn\n");
	find(scene, "repo");
	assert_string_equal(scene->place.branch, "unborn");
	put(scene, "repo/.git/HEAD", "ref: refs/heads/.invalid\n");
	find(scene, "repo");
	assert_string_equal(scene->place.branch, "");
	put(scene, "repo/.git/HEAD", "ref: refs/remotes/x\n");
	find(scene, "repo");
	assert_string_equal(scene->place.branch, "refs/remotes/x");
}

struct seen {
	const struct scene *scene;
	char names[1024];
	enum status answer;
};

static enum status
note(void *arg, const char *name, const char *root)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->names);

	snprintf(seen->names + len, sizeof seen->names - len, "%s=%s ", name, root + strlen(seen->scene->top));
	return seen->answer;
}

static void
worktrees_are(const struct scene *scene, const char *wanted)
{
	struct seen seen = {.scene = scene};

	assert_int_equal(paths_worktrees(&scene->place, note, &seen), OK);
	assert_string_equal(seen.names, wanted);
}

static void
every_worktree_that_is_there_is_told_from_every_one(void **state)
{
	static const char all[] = "=/repo beside=/beside inside=/repo/trees/inside ";
	struct scene *scene = *state;
	struct seen seen = {.scene = scene, .answer = CONFLICT};

	make_repository(scene);
	find(scene, "repo/src");
	worktrees_are(scene, all);
	find(scene, "beside");
	worktrees_are(scene, all);
	find(scene, "repo/trees/inside");
	worktrees_are(scene, all);
	assert_int_equal(paths_worktrees(&scene->place, note, &seen), CONFLICT);
	assert_string_equal(seen.names, "=/repo ");
}

static void
a_worktree_that_is_gone_or_is_anothers_now_is_left_out(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	put(scene, "repo/.git/worktrees/half/HEAD", "ref: refs/heads/x\n");
	put_path(scene, "repo/.git/worktrees/gone/gitdir", "", "gone/.git");
	/* a clone now stands where the worktree was */
	put_path(scene, "repo/.git/worktrees/beside/gitdir", "", "clone/.git");
	put(scene, "clone/.git/HEAD", "ref: refs/heads/main\n");
	/* and here a worktree of another repository */
	put_path(scene, "repo/.git/worktrees/inside/gitdir", "", "foreign/.git");
	put(scene, "other/.git/worktrees/inside/HEAD", COMMIT "\n");
	put_path(scene, "foreign/.git", "gitdir: ", "other/.git/worktrees/inside");
	find(scene, "repo");
	worktrees_are(scene, "=/repo ");
}

static void
a_bare_repository_has_only_linked_worktrees(void **state)
{
	struct scene *scene = *state;

	put(scene, "x/.bare/HEAD", "ref: refs/heads/main\n");
	put(scene, "x/.bare/config", "[core]\n\tbare = true\n");
	put(scene, "x/.git", "gitdir: ./.bare\n");
	put(scene, "x/.bare/worktrees/one/HEAD", "ref: refs/heads/one\n");
	put(scene, "x/.bare/worktrees/one/commondir", "../..\n");
	put_path(scene, "x/.bare/worktrees/one/gitdir", "", "x/one/.git");
	put_path(scene, "x/one/.git", "gitdir: ", "x/.bare/worktrees/one");
	find(scene, "x/one");
	is(scene, scene->place.common, "/x/.bare");
	worktrees_are(scene, "one=/x/one ");
	find(scene, "x");
	is(scene, scene->place.root, "/x");
	worktrees_are(scene, "one=/x/one ");
}

static void
the_main_worktree_is_where_the_configuration_says(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	put(scene, "elsewhere", NULL);
	put(scene, "repo/.git/config", "[core]\n\tbare = false\n");
	put(scene, "repo/.git/config.worktree", "[core]\n\tworktree = ../../elsewhere\n");
	find(scene, "beside");
	worktrees_are(scene, "=/elsewhere beside=/beside inside=/repo/trees/inside ");
}

static void
without_git_the_root_is_the_only_worktree(void **state)
{
	struct scene *scene = *state;

	put(scene, "plain", NULL);
	find(scene, "plain");
	worktrees_are(scene, "=/plain ");
}

static void
by_default_the_store_is_beside_gits_files_and_worktrees_share_it(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	find(scene, "beside");
	assert_int_equal(paths_store(&scene->place, NULL, &scene->store, &scene->why), OK);
	is(scene, scene->store.folder, "/repo/.git/stile");
	is(scene, scene->store.file, "/repo/.git/stile/stile.db");
	assert_string_equal(scene->store.project, ".");
	put(scene, "plain", NULL);
	find(scene, "plain");
	assert_int_equal(paths_store(&scene->place, "", &scene->store, &scene->why), OK);
	is(scene, scene->store.file, "/plain/.stile/stile.db");
	assert_string_equal(scene->store.project, ".");
}

static void
stile_store_names_a_folder_or_a_database_and_perhaps_a_project(void **state)
{
	struct scene *scene = *state;

	make_repository(scene);
	find(scene, "beside");
	assert_int_equal(paths_store(&scene->place, "/var/x/", &scene->store, &scene->why), OK);
	assert_string_equal(scene->store.folder, "/var/x");
	assert_string_equal(scene->store.file, "/var/x/stile.db");
	assert_string_equal(scene->store.project, "repo");
	assert_int_equal(paths_store(&scene->place, "/var/x/own.db?project=team/a", &scene->store, &scene->why), OK);
	assert_string_equal(scene->store.folder, "/var/x");
	assert_string_equal(scene->store.file, "/var/x/own.db");
	assert_string_equal(scene->store.project, "team/a");
	put(scene, "repo/.git/config", "[remote \"origin\"]\n\turl = git@Example.org:team/code.git\n");
	assert_int_equal(paths_store(&scene->place, "/var/x", &scene->store, &scene->why), OK);
	assert_string_equal(scene->store.project, "example.org/team/code");
}

static void
a_servers_address_is_kept_without_the_project_and_named_without_user_and_password(void **state)
{
	static const struct {
		const char *address;
		const char *url;
		const char *name;
		const char *project;
	} rows[] = {
		{"postgresql://host/db", "postgresql://host/db", "postgresql://host/db", "repo"},
		{"postgres://ann:s3cret@a,b:1/db?project=team/a&sslmode=require", "postgres://ann:s3cret@a,b:1/db?sslmode=require",
	     "postgresql://a,b:1/db", "team/a"},
		{"postgresql:///db?host=/run&password=s3cret&project=p", "postgresql:///db?host=/run&password=s3cret",
	     "postgresql:///db", "p"},
		{"postgresql:///?a=b&project=p&c=d", "postgresql:///?a=b&c=d", "postgresql:///", "p"},
		{"postgresql://ann:s3/cr@et@host/db", "postgresql://ann:s3/cr@et@host/db", "postgresql://host/db", "repo"},
		{"postgresql://ann:s3?cret@host/db", "postgresql://ann:s3?cret@host/db", "postgresql://", "repo"},
		{"postgresql:///db?password=s3@cret", "postgresql:///db?password=s3@cret", "postgresql://", "repo"},
	};
	struct scene *scene = *state;

	make_repository(scene);
	find(scene, "beside");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(paths_store(&scene->place, rows[i].address, &scene->store, &scene->why), OK);
		assert_string_equal(scene->store.url, rows[i].url);
		assert_string_equal(scene->store.file, rows[i].name);
		assert_string_equal(scene->store.project, rows[i].project);
		is(scene, scene->store.folder, "/repo/.git/stile");
	}
}

static void
an_address_that_cannot_be_used_is_bad_configuration(void **state)
{
	static const char *const addresses[] = {"mysql://host/db", "relative/path",          "~/x", "/x?projekt=a", "/x?project=",
	                                        "/x?project=a\nb", "postgresql:///?project="};
	struct scene *scene = *state;
	char longest[PATH_SIZE + 10];

	put(scene, "plain", NULL);
	find(scene, "plain");
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
		if (paths_store(&scene->place, addresses[i], &scene->store, &scene->why) != BAD_CONFIG)
			fail_msg("taken: %s", addresses[i]);
	memset(longest, '/', sizeof longest);
	memset(longest + 1, 'x', sizeof longest - 2);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(paths_store(&scene->place, longest, &scene->store, &scene->why), BAD_CONFIG);
}

static void
paths_are_joined_with_one_slash_or_not_at_all(void **state)
{
	char out[8] = "keep";

	assert_int_equal(paths_join(out, sizeof out, "/abc", "defg"), BAD_INPUT);
	assert_string_equal(out, "keep");
	assert_int_equal(paths_join(out, sizeof out, "/abc/", "de"), OK);
	assert_string_equal(out, "/abc/de");
	assert_int_equal(paths_join(out, sizeof out, "/", "x"), OK);
	assert_string_equal(out, "/x");
	assert_int_equal(paths_parent(out, sizeof out, "/a/b"), OK);
	assert_string_equal(out, "/a");
	assert_int_equal(paths_parent(out, sizeof out, "/a"), OK);
	assert_string_equal(out, "/");
	assert_int_equal(paths_parent(out, sizeof out, "a"), OK);
	assert_string_equal(out, ".");
	assert_int_equal(paths_parent(out, sizeof out, "/abcdefgh/x"), BAD_INPUT);
}

#define PATHS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(PATHS_TEST(the_main_worktree_is_found_from_any_folder_in_it), PATHS_TEST(a_linked_worktree_shares_the_common_folder),
      PATHS_TEST(a_submodule_is_a_codebase_of_its_own), PATHS_TEST(links_on_the_way_lead_to_the_same_place),
      PATHS_TEST(without_git_it_is_the_nearest_folder_with_a_store_else_the_folder_itself),
      PATHS_TEST(a_git_folder_without_a_head_is_passed_over_as_git_does),
      PATHS_TEST(a_git_file_that_leads_nowhere_is_bad_input),
      PATHS_TEST(a_branch_is_named_before_its_first_commit_and_unknown_where_refs_are_no_files),
      PATHS_TEST(every_worktree_that_is_there_is_told_from_every_one),
      PATHS_TEST(a_worktree_that_is_gone_or_is_anothers_now_is_left_out),
      PATHS_TEST(a_bare_repository_has_only_linked_worktrees), PATHS_TEST(the_main_worktree_is_where_the_configuration_says),
      PATHS_TEST(without_git_the_root_is_the_only_worktree),
      PATHS_TEST(by_default_the_store_is_beside_gits_files_and_worktrees_share_it),
      PATHS_TEST(stile_store_names_a_folder_or_a_database_and_perhaps_a_project),
      PATHS_TEST(a_servers_address_is_kept_without_the_project_and_named_without_user_and_password),
      PATHS_TEST(an_address_that_cannot_be_used_is_bad_configuration),
      cmocka_unit_test(paths_are_joined_with_one_slash_or_not_at_all))
