/** The check of signatures that tests rely on agrees with the examples in S3's own documentation. */

import { test } from "node:test";
import { assertEquals, assertStringIncludes, assertThrows } from "#assert";
import { verifySignature } from "./s3_signature.ts";

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const now = Date.parse("2013-05-24T00:00:00Z");
const host = "examplebucket.s3.amazonaws.com";
const scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
test("it takes the documented GET with a range", () => {
  const signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const headers = {
    host,
    range: "bytes=0-9",
    "x-amz-content-sha256": empty,
    "x-amz-date": "20130524T000000Z",
    authorization: `AWS4-HMAC-SHA256 Credential=${scope},` +
      `SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=${signature}`,
  };
  const request = { method: "GET", target: "/test.txt", headers };
  assertEquals(verifySignature(request, secret, now).kind, "header");
  assertThrows(() => verifySignature({ ...request, target: "/test.tx" }, secret, now));
  assertThrows(() => verifySignature({ ...request, method: "HEAD" }, secret, now));
  assertThrows(() => verifySignature(request, "another", now));
  assertThrows(() => verifySignature(request, secret, now + 1_000_000));
});

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
test("it takes the documented presigned GET until it expires", () => {
  const query = new URLSearchParams({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": scope,
    "X-Amz-Date": "20130524T000000Z",
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  });
  const request = { method: "GET", target: `/test.txt?${query}`, headers: { host } };
  assertEquals(verifySignature(request, secret, now + 80_000_000).kind, "url");
  const late = assertThrows(() => verifySignature(request, secret, now + 90_000_000));
  assertStringIncludes(late.message, "is not now");
});
