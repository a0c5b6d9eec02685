/** Which browser pages may talk to the server. */

/**
 * Decides on the `Origin` of a request. None comes from programs that are no browser, which may
 * claim what they like: there is nothing to protect them from.
 *
 * @param allowed origins, or `*` for any; when empty, pages of the server's own origin and of
 * localhost may
 */
export function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (allowed.length > 0) return allowed.includes("*") || allowed.includes(origin);
  // `null` (sandboxed pages, files) and the like are no URL.
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return false;
  return localNames.has(url.hostname) || url.host === host;
}

const localNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
