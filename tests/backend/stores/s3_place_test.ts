/** Where blobs lie in a bucket: the setting that says it, and the URLs that come of it. */

import { test } from "node:test";
import { assertEquals, assertThrows } from "#assert";
import { objectKeyOf, parseS3Url, urlOf } from "../../../src/backend/stores/s3_place.ts";
import { cidOf, keyOf, utf8 } from "../../conformance/fixtures.ts";

const secrets = { AWS_ACCESS_KEY_ID: "AKIA-ID", AWS_SECRET_ACCESS_KEY: "very-secret" };
const envOf = (all: Readonly<Record<string, string>>) => (name: string) => all[name];

test("a setting with all its parts is read as written", () => {
  const text = "s3://my.bucket/a/b%20c/?endpoint=http://127.0.0.1:9000&region=eu-west-1";
  assertEquals(parseS3Url(text, envOf({ ...secrets, AWS_SESSION_TOKEN: "temporary" })), {
    endpoint: "http://127.0.0.1:9000",
    clientEndpoint: undefined,
    region: "eu-west-1",
    bucket: "my.bucket",
    prefix: "a/b c",
    pathStyle: true,
    accessKeyId: "AKIA-ID",
    secretAccessKey: "very-secret",
    sessionToken: "temporary",
  });
});

test("without an endpoint it is AWS, in the region of the environment", () => {
  const place = parseS3Url("s3://bucket", envOf({ ...secrets, AWS_REGION: "us-east-1" }));
  assertEquals(place.endpoint, "https://s3.us-east-1.amazonaws.com");
  assertEquals([place.prefix, place.pathStyle, place.sessionToken], ["", false, undefined]);
  const asked = parseS3Url("s3://bucket?path-style=true&region=eu-west-1", envOf(secrets));
  assertEquals([asked.pathStyle, asked.region], [true, "eu-west-1"]);
});

test("clients reach S3 nowhere, at the same endpoint or at another one", () => {
  const endpointOf = (query: string) =>
    parseS3Url(`s3://bucket?region=eu-west-1${query}`, envOf(secrets)).clientEndpoint;
  const here = "&endpoint=http://s3.internal:9000";
  assertEquals(endpointOf(`${here}&direct=false`), undefined);
  assertEquals(endpointOf(`${here}&direct=true`), "http://s3.internal:9000");
  assertEquals(endpointOf("&direct=true"), "https://s3.eu-west-1.amazonaws.com");
  assertEquals(endpointOf(`${here}&direct=https://s3.example`), "https://s3.example");
});

test("an error names all that is missing or wrong, and no value", () => {
  const text =
    "s3://bucket/../x?endpoint=ftp://user:pass@host&secret=top&path-style=yes&direct=yes";
  const { message } = assertThrows(() => parseS3Url(text, envOf({ AWS_SESSION_TOKEN: "tok" })));
  assertEquals(message.split("; "), [
    "Cannot use the S3 setting: it has a parameter besides endpoint, region, path-style, direct",
    "neither its parameter region nor AWS_REGION is set",
    "AWS_ACCESS_KEY_ID is not set",
    "AWS_SECRET_ACCESS_KEY is not set",
    "its endpoint is no http: or https: URL without credentials and query",
    "its path-style is neither true nor false",
    "its direct is neither true, false nor a URL as endpoint is",
    "its prefix has a part that is empty, . or .., or is too long",
  ]);
});

test("what is no S3 setting is refused without being quoted", () => {
  for (
    const text of [
      "",
      "s3:bucket",
      "s3://",
      "s3://ab",
      "s3://../x",
      "s3://key:secret@bucket/x",
      "https://bucket/x",
      "s3://bucket/x#y",
    ]
  ) {
    const { message } = assertThrows(() => parseS3Url(text, envOf(secrets)));
    assertEquals(message, "Cannot use the S3 setting: it is not of the form s3://BUCKET/PREFIX?…");
  }
  for (const prefix of ["a//b", "%", "a/%2e%2e/b", "x".repeat(513)]) {
    assertThrows(() => parseS3Url(`s3://bucket/${prefix}?region=x-1`, envOf(secrets)));
  }
});

test("an object key leads with the tenant behind the prefix, and is percent-encoded in a URL", () => {
  const place = {
    endpoint: "http://127.0.0.1:9000/base/",
    region: "us-east-1",
    bucket: "bucket",
    prefix: "a b/ü?#%+",
    ...{ accessKeyId: "id", secretAccessKey: "secret" },
  };
  const key = keyOf("a", utf8("x"), { ledger: "Acme.inc/todos" });
  const digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
  const objectKey = objectKeyOf(place, key);
  assertEquals(objectKey, `a b/ü?#%+/Acme.inc/todos/car/${cidOf("a")}/${digest}`);
  assertEquals(objectKeyOf({ ...place, prefix: "" }, key), objectKey.slice("a b/ü?#%+/".length));
  const path = `a%20b/%C3%BC%3F%23%25%2B/Acme.inc/todos/car/${cidOf("a")}/${digest}`;
  assertEquals(urlOf(place, objectKey).href, `http://127.0.0.1:9000/base/bucket/${path}`);
  const aws = { ...place, endpoint: "https://s3.eu-west-1.amazonaws.com", pathStyle: false };
  assertEquals(
    urlOf(aws, objectKey).href,
    `https://bucket.s3.eu-west-1.amazonaws.com/${path}`,
  );
  for (const bad of ["a/../b", "a/./b", "a//b", "", "..", "a/"]) {
    assertThrows(() => urlOf(place, bad));
  }
});
