/** Lets a test skip where the machine lacks something, but not where it is said to have it. */

import process from "node:process";

/**
 * A reason to skip, for `test(name, { skip })`.
 *
 * @param name what is needed; when `HEARTH_TEST_REQUIRE` (names, comma-separated) has it, the test
 * runs and fails rather than skips
 * @param lack says what the machine lacks, or nothing
 */
export function requirement(name: string, lack: () => string | undefined): string | false {
  const required = (process.env.HEARTH_TEST_REQUIRE ?? "").split(",").map((it) => it.trim());
  return !required.includes(name) && lack() || false;
}

/**
 * A reason to skip a long test: `HEARTH_TEST_BRIEF` is set, which is for repeating the tests on a second
 * and third runtime.
 */
export function brevity(): string | false {
  return process.env.HEARTH_TEST_BRIEF ? "long, and HEARTH_TEST_BRIEF is set" : false;
}
