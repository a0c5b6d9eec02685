"""A small hearth.v1 client in another language, written from PROTOCOL.md alone.

It says hello, commits, watches, is pushed a commit that another connection made, resumes by cursor
and gets errors. Each step that went well is one line of JSON on standard output.

usage: python_client.py URL LEDGER WRITE_TOKEN READ_TOKEN
"""

import asyncio
import base64
import hashlib
import json
import sys

import msgpack
import websockets

REQUEST, REPLY, NOTIFICATION = 0, 1, 2
RAW, DAG_CBOR = 0x55, 0x71


class HearthError(Exception):
    """An error that came as a reply (PROTOCOL.md §14)."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.retry = error["retry"]
        self.details = error.get("details", {})


class Client:
    """One connection: requests, their replies, and notifications in order."""

    def __init__(self, socket):
        self.socket = socket
        self.replies = {}
        self.notices = asyncio.Queue()
        self.next_id = 0
        self.reader = asyncio.create_task(self.read())

    @classmethod
    async def open(cls, url, token):
        uri = url.replace("http", "ws", 1) + "/v1/sync"
        socket = await websockets.connect(uri, subprotocols=["hearth.v1"], max_size=8 << 20)
        assert socket.subprotocol == "hearth.v1"
        client = cls(socket)
        client.welcome = await client.call("hello", version=1, token=token, client="python")
        assert client.welcome["version"] == 1
        return client

    async def call(self, method, **params):
        self.next_id += 1
        reply = self.replies[self.next_id] = asyncio.get_running_loop().create_future()
        await self.send([REQUEST, self.next_id, method, params])
        return await asyncio.wait_for(reply, 60)

    async def notice(self, name):
        while True:
            found, body = await asyncio.wait_for(self.notices.get(), 60)
            if found == name:
                return body

    async def close(self):
        await self.socket.close()
        await self.reader

    async def send(self, *frames):
        await self.socket.send(b"".join(msgpack.packb(frame) for frame in frames))

    async def read(self):
        try:
            async for message in self.socket:
                for frame in unpack_all(message):
                    await self.take(frame)
        except websockets.ConnectionClosedError as error:
            await self.notices.put(("closed", error.code))

    async def take(self, frame):
        if frame[0] == REPLY:
            _, id, error, result = frame
            reply = self.replies.pop(id)
            if error is None:
                reply.set_result(result)
            else:
                reply.set_exception(HearthError(error))
        elif frame[0] == NOTIFICATION:
            _, name, body = frame
            if name == "ping":
                await self.send([NOTIFICATION, "pong", {}])
            await self.notices.put((name, body))


def unpack_all(message):
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(message)
    return unpacker


def cid_of(codec, data):
    head = bytes([1, codec, 0x12, 0x20])
    text = base64.b32encode(head + hashlib.sha256(data).digest())
    return "b" + text.decode().rstrip("=").lower()


def meta_of(data, blobs, parents=()):
    return {"cid": cid_of(DAG_CBOR, data), "parents": list(parents), "data": data, "blobs": blobs}


def check_blob(blob, data):
    assert blob["bytes"] == data
    assert blob["size"] == len(data)
    assert blob["digest"] == hashlib.sha256(data).digest()


async def expect_error(code, call):
    try:
        await call
    except HearthError as error:
        assert error.code == code, f"expected {code}, got {error.code}: {error}"
        return error
    raise AssertionError(f"expected {code}, got a result")


def done(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


async def main(url, ledger, write_token, read_token):
    assert cid_of(RAW, b"hello world") == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

    writer = await Client.open(url, write_token)
    done("hello", server=writer.welcome["server"])

    data = b"a block, encrypted or not"
    blob = {"store": "car", "cid": cid_of(RAW, data)}
    first = meta_of(b"first", [blob])
    commit = {"ledger": ledger, "blobs": [{**blob, "bytes": data}], "metas": [first], "keys": ["zKey"]}
    cursor = (await writer.call("commit", **commit))["cursor"]
    again = (await writer.call("commit", **commit))["cursor"]
    assert again == cursor
    done("commit", cursor=cursor)

    reader = await Client.open(url, read_token)
    heads = await reader.call("watch", ledger=ledger, inventory=True)
    assert heads["reset"] and heads["after"] is None and heads["cursor"] == cursor
    assert heads["metas"] == [first] and heads["keys"] == ["zKey"]
    assert heads["inventory"] == [{**blob, "size": len(data)}]
    answer = await reader.call("getBlobs", ledger=ledger, blobs=[blob])
    check_blob(answer["blobs"][0], data)
    done("watch", cursor=cursor)

    pushed = await reader.notice("metas")
    assert pushed["ledger"] == ledger and not pushed["reset"]
    assert pushed["after"] == cursor
    (meta,) = pushed["metas"]
    assert meta["cid"] == cid_of(DAG_CBOR, meta["data"])
    missing = await reader.call("missing", ledger=ledger, blobs=meta["blobs"])
    assert missing["blobs"] == []
    done("pushed", cid=meta["cid"], data=meta["data"].decode())

    await reader.close()
    reader = await Client.open(url, read_token)
    rest = await reader.call("watch", ledger=ledger, cursor=cursor)
    assert not rest["reset"] and rest["after"] == cursor and rest["cursor"] == pushed["cursor"]
    assert [it["cid"] for it in rest["metas"]] == [meta["cid"]]
    done("resumed")

    await writer.call("tell", ledger=ledger, body=b"typing")
    told = await reader.notice("told")
    assert told["body"] == b"typing" and told["from"] == "writer"
    await reader.send([NOTIFICATION, "ping", {}])
    await reader.notice("pong")
    done("told")

    absent = {"store": "car", "cid": cid_of(RAW, b"never stored")}
    second = meta_of(b"second", [absent], [first["cid"]])
    error = await expect_error("MISSING_BLOBS", writer.call("commit", ledger=ledger, metas=[second]))
    assert error.retry == "never" and error.details["blobs"] == [absent]
    await expect_error("FORBIDDEN", reader.call("commit", **commit))
    await expect_error("FORBIDDEN", reader.call("watch", ledger="others/ledger"))
    await expect_error("CURSOR_INVALID", reader.call("watch", ledger=ledger, cursor="elsewhere.1"))
    await expect_error("BAD_PARAMS", reader.call("watch", ledger=ledger, unknown=1))
    await expect_error("METHOD_UNKNOWN", reader.call("no_such_method"))
    await expect_error("UNAUTHENTICATED", Client.open(url, "no.such.token"))
    done("errors")

    await reader.socket.send(b"\xc1")
    error = await reader.notice("error")
    assert error["code"] == "BAD_FRAME"
    assert await reader.notice("closed") == 1007
    await writer.close()
    done("closed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
