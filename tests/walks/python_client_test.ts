/** A client that was written from PROTOCOL.md, in another language, works with the real server. */

import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "#assert";
import { formatCid } from "../../src/protocol/cid.ts";
import { decodeFrames, encodeRequest } from "../../src/protocol/frames.ts";
import { contentType, paths } from "../../src/protocol/version.ts";
import { startChild } from "../harness/child.ts";
import { eventually } from "../harness/eventually.ts";
import { startServer } from "../harness/server_process.ts";
import { requirement } from "../require.ts";

const python = "/usr/bin/python3";
const script = fileURLToPath(new URL("./python_client.py", import.meta.url));
const ledger = "acme/todos";

const skip = requirement("python", () => {
  const { status } = spawnSync(python, ["-c", "import msgpack, websockets"]);
  return status === 0 ? undefined : `${python} lacks msgpack or websockets`;
});

test(
  "a client in Python says hello, commits, watches, is pushed and resumes",
  { skip },
  async () => {
    await using server = await startServer();
    const write = await server.token(ledger, { right: "write", subject: "writer" });
    const read = await server.token(ledger, { right: "read", subject: "reader" });
    const steps = new Map<string, Record<string, unknown>>();
    const child = startChild(python, [script, server.url, ledger, write, read], {
      onLine: (line) => {
        if (!line.startsWith("{")) return;
        const { step, ...facts } = JSON.parse(line);
        steps.set(step, facts);
      },
    });
    let ended = false;
    const exit = child.ended.finally(() => (ended = true));
    try {
      // Until it watches, a commit of ours would not be pushed to it but be among its heads.
      await eventually(() => assert(ended || steps.has("watch")), { timeoutMs: 60_000 });
      const data = new TextEncoder().encode("made in JavaScript");
      const cid = await commit(server.url, write, data);
      const { code } = await exit;
      assertEquals({ code, steps: [...steps.keys()], lines: child.lines.filter(isTrouble) }, {
        code: 0,
        steps: ["hello", "commit", "watch", "pushed", "resumed", "told", "errors", "closed"],
        lines: [],
      });
      assertEquals(steps.get("pushed"), { cid, data: "made in JavaScript" });
    } finally {
      await child.end("SIGKILL");
    }
  },
);

/** Commits a meta over HTTP. */
async function commit(
  url: string,
  token: string,
  data: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const cid = formatCid(0x71, digest);
  const response = await fetch(url + paths.rpc, {
    method: "POST",
    headers: { "content-type": contentType, authorization: `Bearer ${token}` },
    body: encodeRequest(1, "commit", { ledger, metas: [{ cid, data }] }),
  });
  const [reply] = decodeFrames(new Uint8Array(await response.arrayBuffer()));
  assert(reply?.kind === "reply" && reply.error === null, JSON.stringify(reply));
  return cid;
}

function isTrouble(line: string): boolean {
  return !line.startsWith("{");
}
