/** The release. A test holds it equal to deno.json. */

/** Version of this package. */
export const version = "0.1.0";
