/** The cases of Fireproof's own server, one by one, as JSON over both ways. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertMatch } from "#assert";
import { startStockBackend } from "./support/stock_backend.ts";
import {
  type Message,
  putBlob,
  putMessage,
  stockMessages,
  StockSocket,
} from "./support/stock_wire.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 60_000 };

/** One way to ask. */
interface Way extends AsyncDisposable {
  ask(message: Message): Promise<Message>;
}

const ways: Readonly<Record<string, (url: string) => Promise<Way>>> = {
  http: (url) =>
    Promise.resolve({
      ask: async (message) => (await putMessage(url, message)).message,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  ws: async (url) => {
    const socket = await StockSocket.open(url);
    return {
      ask: (message) => socket.ask(message),
      [Symbol.asyncDispose]: async () => void await socket.close(),
    };
  },
};

for (const [name, open] of Object.entries(ways)) {
  describe(`the reference's cases over ${name}`, () => {
    const scene = async () => {
      const backend = await startStockBackend();
      const way = await open(backend.url);
      const messages = stockMessages({ token: await backend.token() });
      return {
        ...messages,
        url: backend.url,
        ask: (message: Message) => way.ask(message),
        async [Symbol.asyncDispose]() {
          await way[Symbol.asyncDispose]();
          await backend.stop();
        },
      };
    };

    it("kaputt url: a type that is none is answered with exactly this", bounded, async () => {
      await using it = await scene();
      const source = it.make("kaputt", { tid: "test" });
      assertEquals(await it.ask(source), {
        type: "error",
        message: "unexpected message",
        tid: "test",
        version: "FP-MSG-1.0",
        auth: it.auth,
        src: source,
      });
    });

    it("gestalt: says what the server can do", bounded, async () => {
      await using it = await scene();
      const { conn: _conn, tenant: _tenant, ...asked } = it.make("reqGestalt");
      const answer = await it.ask({ ...asked, gestalt: { id: "FP-Universal-Client" } });
      assertEquals({ ...answer, gestalt: { ...answer["gestalt"], id: "" } }, {
        tid: asked["tid"],
        type: "resGestalt",
        version: "FP-MSG-1.0",
        auth: it.auth,
        gestalt: { ...gestalt, id: "" },
      });
    });

    it("openConnection: keeps what the client gives, and adds what it lacks", bounded, async () => {
      await using it = await scene();
      const { tenant: _tenant, ...asked } = it.make("reqOpen", {
        conn: { reqId: "new", resId: "old" },
      });
      assertEquals(await it.ask(asked), {
        type: "resOpen",
        tid: asked["tid"],
        version: "FP-MSG-1.0",
        auth: it.auth,
        conn: { reqId: "new", resId: "old" },
      });
      const named = await it.ask(it.make("reqOpen", { conn: { reqId: "new" } }));
      assertEquals(named["conn"].reqId, "new");
      assertMatch(named["conn"].resId, /./);
    });

    it("open: a chat is answered", bounded, async () => {
      await using it = await scene();
      const asked = it.make("reqChat", { message: "/ping", targets: [] });
      const answer = await it.ask(asked);
      assertEquals([answer["type"], answer["conn"]], ["resChat", it.conn]);
      assert(Array.isArray(answer["targets"]));
    });

    for (const store of ["file", "wal"]) {
      it(`${store}: its URLs can be used, whatever the name`, bounded, async () => {
        await using it = await scene();
        const urls: string[] = [];
        const kind = store === "file" ? "Data" : "WAL";
        for (const [verb, method] of [["Get", "GET"], ["Put", "PUT"], ["Del", "DELETE"]] as const) {
          const asked = it.make(`req${verb}${kind}`, {
            methodParam: { method, store },
            urlParam: { path: "test/me", key: "key-test" },
          });
          const answer = await it.ask(asked);
          const { signedUrl, ...rest } = answer;
          assertEquals(rest, { ...asked, type: `res${verb}${kind}` });
          assert(URL.canParse(signedUrl));
          urls.push(signedUrl);
        }
        const [get, put, del] = urls as [string, string, string];
        const status = async (url: string, method: string) => {
          const response = await fetch(url, { method });
          await response.body?.cancel();
          return response.status;
        };
        assertEquals(await status(get, "GET"), 404);
        assert([200, 201].includes(await putBlob(put, "hello")));
        assertEquals(await status(get, "GET"), 200);
        assertEquals(await status(del, "DELETE"), 204);
        assertEquals(await status(get, "GET"), store === "file" ? 200 : 404);
      });
    }

    it(
      "meta bind and get: each is answered at once, though there is nothing",
      bounded,
      async () => {
        await using it = await scene();
        for (let at = 0; at < 5; at++) {
          const asked = it.bind({ version: "FP-MSG-1.0" });
          const { signedUrl, ...answer } = await it.ask(asked);
          assert(URL.canParse(signedUrl));
          assertEquals(answer, { ...asked, type: "eventGetMeta", meta: { metas: [], keys: [] } });
        }
      },
    );

    it("meta put: metas that nobody could read are left out", bounded, async () => {
      await using it = await scene();
      const metas = Array.from({ length: 5 }, (_, at) => ({
        cid: `z${at}`,
        parents: [],
        data: "MomRkYXRho",
      }));
      const keys = ["k0", "k1", "k2", "k3", "k4"];
      const { signedUrl, ...answer } = await it.ask(it.putMeta(metas, keys));
      assert(URL.canParse(signedUrl));
      assertEquals([answer["type"], answer["meta"]], ["resPutMeta", { metas: [], keys }]);
      assertEquals((await it.ask(it.bind()))["meta"], { metas: [], keys });
    });

    it("meta del: is answered, and empties nothing", bounded, async () => {
      await using it = await scene();
      const asked = it.make("reqDelMeta", { urlParam: { path: "test/me", key: "key-test" } });
      const { signedUrl, ...answer } = await it.ask(asked);
      assert(URL.canParse(signedUrl));
      const methodParam = { method: "DELETE", store: "meta" };
      assertEquals(answer, { ...asked, type: "resDelMeta", methodParam });
    });

    it("a connection that is closed is said to be", bounded, async () => {
      await using it = await scene();
      const answer = await it.ask(it.make("reqClose"));
      assertEquals([answer["type"], answer["conn"]], ["resClose", it.conn]);
    });
  });
}

describe("the reference's cases of sockets", () => {
  it(
    "reconnect: a socket that is to be closed is, and comes back with its names",
    bounded,
    async () => {
      await using backend = await startStockBackend();
      const { make, conn } = stockMessages({ token: await backend.token() });
      for (let turn = 0; turn < 2; turn++) {
        const socket = await StockSocket.open(backend.url);
        assertEquals((await socket.ask(make("reqOpen")))["conn"], conn);
        const answer = await socket.ask(make("reqChat", { message: "/close-connection" }));
        assertEquals(answer["type"], "resChat");
        assertEquals(await socket.closed, 4711);
      }
    },
  );

  it(
    "several connections: each hears what its own user says, and nobody else",
    bounded,
    async () => {
      await using backend = await startStockBackend();
      const token = await backend.token();
      const stranger = await backend.token("write", ["acme/todos"], { subject: "mallory" });
      const sockets = await Promise.all(
        Array.from({ length: 4 }, () => StockSocket.open(backend.url)),
      ) as [StockSocket, StockSocket, StockSocket, StockSocket]; // A list of four.
      for (const [at, socket] of sockets.entries()) {
        const { make } = stockMessages({ token: at < 3 ? token : stranger });
        for (const reqId of [`a${at}`, `b${at}`]) {
          await socket.ask(make("reqOpen", { conn: { reqId, resId: `res-${at}` } }));
        }
      }
      const { make } = stockMessages({ token, reqId: "a0", resId: "res-0" });
      const answer = await sockets[0].ask(make("reqChat", { message: "hello", targets: [] }));
      assertEquals(answer["targets"].length, 6);
      for (const [at, socket] of sockets.slice(0, 3).entries()) {
        const heard = (reqId: string) =>
          socket.until((it) => it["type"] === "resChat" && it["conn"].reqId === reqId);
        assertEquals((await heard(`b${at}`))["message"], "hello");
        if (at > 0) await heard(`a${at}`);
      }
      assertEquals(sockets[3].messages.filter((it) => it["type"] === "resChat"), []);
      assert(!JSON.stringify(sockets[1].messages.at(-1)).includes(token));
      await Promise.all(sockets.map((socket) => socket.close()));
    },
  );

  it("capabilities that are asked for are those that are told", bounded, async () => {
    await using backend = await startStockBackend();
    const { make } = stockMessages({ token: await backend.token() });
    for (const asked of ["reqRes", "stream", "reqRes,stream"]) {
      const query = `?capabilities=${asked}`;
      const { message } = await putMessage(backend.url, make("reqGestalt"), query);
      assertEquals(message["gestalt"].protocolCapabilities, asked.split(","));
    }
  });
});

const both = { inband: true, outband: true };
const gestalt = {
  storeTypes: ["meta", "file", "car", "wal"],
  httpEndpoints: ["/fp"],
  wsEndpoints: ["/ws"],
  encodings: ["JSON"],
  protocolCapabilities: ["reqRes", "stream"],
  auth: [],
  requiresAuth: false,
  data: both,
  meta: both,
  wal: both,
  reqTypes:
    "reqOpen reqGestalt reqSubscribeMeta reqPutMeta reqBindMeta reqDelMeta reqPutData reqGetData reqDelData reqPutWAL reqGetWAL reqDelWAL reqUpdateMeta"
      .split(" "),
  resTypes:
    "resOpen resGestalt resSubscribeMeta resPutMeta resGetMeta resDelMeta resPutData resGetData resDelData resPutWAL resGetWAL resDelWAL updateMeta"
      .split(" "),
  eventTypes: ["updateMeta"],
};
