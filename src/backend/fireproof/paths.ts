/** Where the stock client looks for the server, as its gestalt tells. */
export const paths = { http: "/fp", socket: "/ws", blobs: "/fp/blobs" } as const;
