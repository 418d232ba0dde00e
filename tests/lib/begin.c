#include "base/json.h"
#include "lib/test.h"

void
test_begin(void)
{
	json_begin();
}
