/** Where the server's doors are, below its base URL. */

/**
 * The URL of a path below the base URL (which may have a path of its own).
 *
 * @throws {TypeError} when the base is no `http:` or `https:` URL
 */
export function toEndpoint(baseUrl: string, path: string): URL {
  const url = new URL(baseUrl);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`Cannot use "${url.protocol}" as server URL: it must be http: or https:`);
  }
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  url.search = "";
  url.hash = "";
  return url;
}
