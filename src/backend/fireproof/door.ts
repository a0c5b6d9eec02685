/** The second door: the stock client's protocol, onto the operations of the first. */

import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import { Semaphore } from "../../base/semaphore.ts";
import type { VerifyFireproof } from "../../sts/fireproof_identity.ts";
import type { Services } from "../handler.ts";
import { FireproofUrls } from "./blob_urls.ts";
import { answerFireproofBlob, maxUploadsBytes } from "./blobs.ts";
import { type Address, FireproofConnection } from "./connection.ts";
import { releaseAll } from "./held.ts";
import { HeldBySender } from "./held_by_sender.ts";
import { LateBlobs } from "./late_blobs.ts";
import { answerMessage } from "./route.ts";

/** What the server does with requests of this door. */
export interface FireproofDoor {
  answerMessage(incoming: IncomingMessage, address: Address): Promise<Response>;
  answerBlob(request: Request, incoming: IncomingMessage): Promise<Response>;
  /** @param onEnd called once, when the socket is gone */
  accept(socket: WebSocket, address: Address, onEnd: () => void): FireproofConnection;
  /** Goes on with what an instance that died has left; ends when the server stops. */
  resume(): Promise<void>;
}

/** Makes the door. */
export function createFireproofDoor(
  services: Services,
  verifyFireproof: VerifyFireproof,
  urlSecret: Uint8Array,
): FireproofDoor {
  const connections = new Set<FireproofConnection>();
  const own = {
    ...services,
    verifyFireproof,
    fireproofUrls: new FireproofUrls(urlSecret),
    uploads: new Semaphore(maxUploadsBytes),
    late: new LateBlobs(services.clock, services.stopping),
    heldBy: new HeldBySender(),
    chatters: connections,
  };
  return {
    answerMessage: (incoming, address) => answerMessage(own, incoming, address),
    answerBlob: (request, incoming) => answerFireproofBlob(own, request, incoming),
    accept: (socket, address, onEnd) => {
      const connection = new FireproofConnection(own, socket, address, () => {
        connections.delete(connection);
        onEnd();
      });
      connections.add(connection);
      return connection;
    },
    resume: () => releaseAll(own),
  };
}
