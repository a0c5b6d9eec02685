/** One message of the stock client on its way through: who sent it, about which ledger, from where. */

import type { Semaphore } from "../../base/semaphore.ts";
import type { VerifyFireproof } from "../../sts/fireproof_identity.ts";
import type { Services } from "../handler.ts";
import type { Session } from "../session.ts";
import type { LedgerId } from "../stores/meta_store.ts";
import type { FireproofUrls } from "./blob_urls.ts";
import type { HeldBySender } from "./held_by_sender.ts";
import type { LateBlobs } from "./late_blobs.ts";

/** What stands behind this door, besides what stands behind all. */
export interface FireproofServices extends Services {
  readonly verifyFireproof: VerifyFireproof;
  readonly fireproofUrls: FireproofUrls;
  /** Bytes of uploads in memory. */
  readonly uploads: Semaphore;
  readonly late: LateBlobs;
  readonly heldBy: HeldBySender;
  /** The sockets of this door. */
  readonly chatters: Iterable<Chatter>;
}

/** Names a connection of the client: it makes the first itself and asks for the second. */
export interface ConnectionId {
  readonly reqId: string;
  readonly resId: string;
}

/** A socket as a chat sees it. */
export interface Chatter {
  /** The connections that somebody has opened on it. */
  idsOf(subject: string): readonly ConnectionId[];
  tell(message: object): void;
}

/** What a message can do with the socket that it came on. */
export interface SocketDesk extends Chatter {
  /** @throws {HearthError} `RATE_LIMITED` when there are too many */
  openId(id: ConnectionId, session: Session): void;
  closeId(id: ConnectionId): void;
  /** Ends the socket in a moment. */
  closeSoon(): void;
  /**
   * Tells a ledger's changes from now on, behind the answer to this message.
   *
   * @throws {HearthError} `RATE_LIMITED` when there are too many
   */
  bind(bind: BindRequest): Promise<readonly string[]>;
}

/** Who wants to be told of a ledger, and how. */
export interface BindRequest {
  readonly ledger: LedgerId;
  readonly id: ConnectionId;
  readonly session: Session;
  /** The fields of each event but `meta`. */
  readonly event: object;
}

/** Who sends messages, as far as the connection tells. */
export interface Sender {
  readonly baseUrl: string;
  /** The query of the request's URL. */
  readonly query: URLSearchParams;
  /** Nothing over HTTP. */
  readonly socket: SocketDesk | undefined;
}

/** A message that has been let in. */
export interface Call extends Sender {
  readonly services: FireproofServices;
  readonly tid: string;
  readonly auth: object | undefined;
  /** The ledger's names, in the client's form. */
  readonly tenant: object | undefined;
  /** Of whoever has sent it; for rows that need a token. @throws {TypeError} for others */
  session(): Session;
  /** The ledger that it is about; for rows that need a right. @throws {TypeError} for others */
  ledger(): LedgerId;
}

/** An answer that is several messages, already written: events of a bind. */
export class Written {
  readonly texts: readonly string[];

  constructor(texts: readonly string[]) {
    this.texts = texts;
  }
}
