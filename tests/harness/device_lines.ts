/** The lines between a test and a device in a child process: JSON behind a mark that no log has. */

/** Tells a line of the device from whatever else its process prints. */
export const mark = "@device ";

/** A call. */
export interface CallLine {
  readonly id: number;
  readonly call: string;
  readonly params: unknown;
}

/** What a device says: the outcome of a call, or that something happened. */
export type DeviceLine =
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | {
    readonly kind: "error";
    readonly id: number;
    readonly message: string;
    readonly code?: string | undefined;
  }
  | { readonly kind: "event" };

/** Reads a line of a device's output; nothing when it is a line of its log. */
export function parseDeviceLine(line: string): DeviceLine | undefined {
  // Both ends are this file's readers and writers: the form is known.
  return line.startsWith(mark) ? JSON.parse(line.slice(mark.length)) as DeviceLine : undefined;
}

/** Writes a line for a device's output. */
export function formatDeviceLine(line: DeviceLine): string {
  return mark + JSON.stringify(line);
}
