/** What the server says of itself to the stock client. */

/** Kinds of exchange: requests with answers, and events that come by themselves. */
const capabilities = ["reqRes", "stream"] as const;

/**
 * The gestalt, equal to that of Fireproof's own server but for its id.
 *
 * @param asked the `capabilities` of the query, a list with commas
 */
export function gestaltFor(asked: string | null): object {
  const wanted = asked?.split(",").map((it) => it.trim());
  const chosen = capabilities.filter((it) => wanted?.includes(it));
  const both = { inband: true, outband: true };
  return {
    storeTypes: ["meta", "file", "car", "wal"],
    httpEndpoints: ["/fp"],
    wsEndpoints: ["/ws"],
    encodings: ["JSON"],
    protocolCapabilities: chosen.length > 0 ? chosen : capabilities,
    auth: [],
    requiresAuth: false,
    data: both,
    meta: both,
    wal: both,
    reqTypes: [
      "reqOpen",
      "reqGestalt",
      "reqSubscribeMeta",
      "reqPutMeta",
      "reqBindMeta",
      "reqDelMeta",
      "reqPutData",
      "reqGetData",
      "reqDelData",
      "reqPutWAL",
      "reqGetWAL",
      "reqDelWAL",
      "reqUpdateMeta",
    ],
    resTypes: [
      "resOpen",
      "resGestalt",
      "resSubscribeMeta",
      "resPutMeta",
      "resGetMeta",
      "resDelMeta",
      "resPutData",
      "resGetData",
      "resDelData",
      "resPutWAL",
      "resGetWAL",
      "resDelWAL",
      "updateMeta",
    ],
    eventTypes: ["updateMeta"],
    id: "hearth",
  };
}
