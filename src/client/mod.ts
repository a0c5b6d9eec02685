/**
 * The plain client of a Hearth server, for any local-first store.
 *
 * @module
 */

export * from "./client.ts";
export { connect } from "./connect.ts";
export {
  type Code,
  codes,
  type ErrorDetails,
  HearthError,
  type HearthErrorOptions,
  type Retry,
} from "../protocol/errors.ts";
export type { Limits } from "../protocol/limits.ts";
export type * from "../protocol/method_table.ts";
export type {
  BlobAnswer,
  BlobListing,
  BlobRef,
  BlobUpload,
  Changes,
  DirectRequest,
  Meta,
  StoreName,
} from "../protocol/model.ts";
