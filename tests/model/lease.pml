/*
 * The lease protocol, for spin: three who want one thing again and again; whoever frees lets the next in; one may die, holders
 * oversleep.
 *
 * Each `atomic` is one transaction of core/lease.c.  Between a commit and the wake-up that it owes others may do anything.  A
 * waiter notes how often its word was raised, then looks, then sleeps unless the word was raised since; two share a word.  Time is
 * left out: a holder is overdue and silent (`late`) when it likes.  The look of each second is here only for what it is meant
 * for, a holder that is dead or late: whoever sleeps beside one that works and gives back must be woken.
 *
 * Checked: two never work at once who are both in time, and no effect comes after one of a later fence (assertions); who asks
 * and lives is let in, under weak fairness (served): so no wake-up is lost and nobody starves.
 *
 * test_model.py breaks it on purpose with NO_FENCE, HASTY, LATE_LOOK and UNFAIR.
 */
#define N 3
#define NOBODY N

byte holder = NOBODY, fence; /* the last that was given */
byte line[N], waiting;               /* tickets; line[0] is next */
bool raised[N];                      /* its word was, since it noted that */
bool alive[N] = true, late[N], asking[N], works[N];
bool outdated[N];                    /* another's effect came since it was let in */
byte deaths;

ltl served { [] <> (!asking[0] || !alive[0]) }

/* To ask whether everybody is served they ask for ever, and what counts the grants must not grow; else each asks ROUNDS times. */
#ifdef ROUNDS
#define NEXT_FENCE fence++
#define IS_MINE (holder != NOBODY && fence == mine)
#else
#define NEXT_FENCE fence = 1 - fence
#define IS_MINE (holder == me && fence == mine)
#endif

/* The next that lives has it; *woken is owed a wake-up. */
inline let_in(woken)
{
	woken = NOBODY;
	do
	:: holder == NOBODY && waiting > 0 ->
#ifdef UNFAIR
		waiting--;
		next = line[waiting];
#else
		next = line[0];
		line[0] = line[1];
		line[1] = line[2];
		waiting--;
#endif
		if
		:: alive[next] ->
			holder = next;
			NEXT_FENCE;
			woken = next
		:: else
		fi
	:: else -> break
	od;
	next = 0
}

inline tend(woken)
{
	if
#ifdef HASTY
	:: holder != NOBODY && waiting > 0 -> holder = NOBODY
#else
	:: holder != NOBODY && (!alive[holder] || late[holder]) -> holder = NOBODY
#endif
	:: else
	fi;
	let_in(woken)
}

/* After the commit. */
inline wake(woken)
{
	d_step {
		if
		:: woken != NOBODY ->
			raised[woken] = true;
			if
			:: woken < 2 -> raised[1 - woken] = true
			:: else
			fi
		:: else
		fi;
		woken = NOBODY
	}
}


proctype client(byte me)
{
	byte mine, woken = NOBODY, next;
#ifdef ROUNDS
	byte rounds = ROUNDS;
#endif

again:
#ifdef ROUNDS
	if
	:: rounds == 0 -> goto gone
	:: else -> rounds--
	fi;
#endif
	raised[me] = false;
	atomic {
		line[waiting] = me;
		waiting++;
		asking[me] = true;
		tend(woken)
	}
	wake(woken);
	do
	:: atomic {
		holder == me ->
		asking[me] = false;
		mine = fence;
		works[me] = true;
		outdated[me] = false;
		assert(works[0] + works[1] + works[2] <= 1);
		break
	   }
	:: holder != me ->
#ifdef LATE_LOOK
		raised[me] = false;
#endif
		if
		:: raised[me] -> raised[me] = false
		:: atomic { deaths == 0 -> deaths++; alive[me] = false }; goto gone
		fi
	od;
	if
	:: atomic { deaths == 0 -> deaths++; alive[me] = false; works[me] = false }; goto gone
	:: atomic { late[me] = true; works[me] = false };
		/* it may notice in time, and renew */
		if
		:: atomic { IS_MINE -> late[me] = false; works[me] = true }
		:: true
		fi
	:: true
	fi;
#ifdef ROUNDS
	atomic {
		if
#ifdef NO_FENCE
		:: true ->
#else
		:: IS_MINE ->
#endif
			assert(!outdated[me]);
			outdated[0] = me != 0;
			outdated[1] = me != 1;
			outdated[2] = me != 2
		:: else
		fi
	}
#endif
	atomic {
		works[me] = false;
		late[me] = false;
		if
		:: IS_MINE ->
			holder = NOBODY;
			let_in(woken)
		:: else
		fi;
		mine = 0
	}
	wake(woken);
	goto again;
gone:
	skip
}

/* Any waiter's look of each second. */
proctype look()
{
	byte woken = NOBODY, next;

end:
	do
	:: atomic { holder != NOBODY && waiting > 0 && (!alive[holder] || late[holder]) -> tend(woken) }
		wake(woken)
	od
}

init {
	atomic {
		run client(0);
		run client(1);
		run client(2);
		run look()
	}
}
