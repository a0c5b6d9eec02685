/** Bytes both ways: what the client needs of a socket, of HTTP, or of a wire in memory. */

/** Why a transport ended. */
export interface CloseReason {
  /** Close code (RFC 6455 §7.4, or one of `codes` in protocol/errors.ts); 1006 when the link just broke. */
  readonly code: number;
  /** What the closer said, for people. */
  readonly reason: string;
}

/** What a transport calls. It calls neither before `open` has returned, and nothing after `onClose`. */
export interface TransportEvents {
  /** One message: one or more frames. */
  onMessage(message: Uint8Array): void;
  /** The transport has ended; called exactly once. */
  onClose(reason: CloseReason): void;
}

/** An open link that carries messages. */
export interface Transport {
  /** Whether the server can send by itself (a socket), or only answers (HTTP). */
  readonly pushes: boolean;
  /** Sends one message. After the end it does nothing: `onClose` has told. */
  send(message: Uint8Array): void;
  /** Bytes accepted by `send` that have not left yet. */
  readonly bufferedBytes: number;
  /** Ends the link; `onClose` follows. @default code 1000 */
  close(code?: number, reason?: string): void;
}

/** Opens transports of one kind to one server. */
export interface Dialer {
  /**
   * Opens a link.
   *
   * @param events whom to call
   * @param options.token for transports that prove themselves with each message (HTTP)
   * @param options.signal gives up the attempt; the returned promise rejects with its reason
   * @throws {HearthError} `CLOSED` when the link cannot be had
   */
  open(events: TransportEvents, options: DialOptions): Promise<Transport>;
}

/** Options of {@linkcode Dialer.open}. */
export interface DialOptions {
  /** The token in force, asked for before each message of a transport that carries it itself. */
  readonly token: () => string | undefined;
  readonly signal: AbortSignal;
}
