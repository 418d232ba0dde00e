/*
 * An agent of one's own that coordinates through the library: it starts its session, counts a message, asks how full its
 * context is, and takes a no for what it is.
 *
 *	stile init --client none
 *	cc session.c -lstile -o session && ./session
 */
#include <stile.h>

#include <stdio.h>
#include <unistd.h>

/* Runs a verb; says what went wrong, which the document tells too. */
static enum stile_status
run(struct stile *stile, const char *verb, const char *parameters)
{
	const char *document; /* belongs to `stile`, until its next call */
	enum stile_status status = stile_call(stile, verb, parameters, &document);

	printf("%s %s\n\t-> %d %s\n", verb, parameters, status, document);
	return status;
}

int
main(void)
{
	struct stile *stile;
	char why[200], start[100];
	enum stile_status status;

	/* the codebase that we stand in; nobody but `stile init` makes its store */
	if (stile_open(".", &stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "session: %s\n", why);
		return 1;
	}

	/* with our pid Stile knows when we are gone, and whose the next calls are */
	snprintf(start, sizeof start, "{\"client\":\"example\",\"client_session\":\"run-%ld\",\"pid\":%ld}", (long)getpid(),
	         (long)getpid());
	status = run(stile, "session start", start);

	/* the parameters are those of the command line, with _ for - */
	if (status == STILE_OK)
		status = run(stile, "metric add", "{\"name\":\"messages\",\"amount\":1}");
	if (status == STILE_OK)
		status = run(stile, "pressure", "{}");

	/* a lawful no is positive: here there is no such session */
	if (status == STILE_OK && run(stile, "session show", "{\"session\":\"nobody\"}") != STILE_NO_SUCH)
		status = STILE_CONFLICT;

	if (status == STILE_OK)
		status = run(stile, "session end", "{\"reason\":\"done\"}");
	stile_close(stile);
	return status == STILE_OK ? 0 : 1;
}
