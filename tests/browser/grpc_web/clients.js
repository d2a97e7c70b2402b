// The two clients, behind one face that a test can drive: grpc-web in text mode, Connect's gRPC-web transport in binary.
//
// Requests and answers are protobuf's JSON here. A call that failed gives {code, message, details}, the details as the
// client itself brings them out of the trailers.

import { create, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./stubs/google/rpc/error_details_pb.js";
import { StatusSchema } from "./stubs/google/rpc/status_pb.js";
import { CommentService } from "./stubs/livecomments/v1/comment_service_pb.js";
import { FeedService } from "./stubs/livecomments/v1/feed_service_pb.js";
import { HistoryService } from "./stubs/livecomments/v1/history_service_pb.js";
import { StreamService } from "./stubs/livecomments/v1/stream_service_pb.js";

const services = { CommentService, FeedService, HistoryService, StreamService };
const details = { errorInfo: ErrorInfoSchema, badRequest: BadRequestSchema, retryInfo: RetryInfoSchema };

const method = (service, name) => services[service].methods.find((found) => found.name === name);

/** Google's client. Its own generator can't be had as a package: its descriptors are made of protobuf-es' schemas. */
class Google {
  constructor(url) {
    this.url = url;
    this.client = new GrpcWebClientBase({ format: "text" });
  }

  call(service, name, request, { token, timeoutMs }) {
    const [path, descriptor] = this.#described(service, name, MethodType.UNARY);
    const asked = fromJson(method(service, name).input, request);
    return this.client
      .unaryCall(this.url + path, asked, this.#metadata(token, timeoutMs), descriptor)
      .then((answer) => ({ answer: toJson(method(service, name).output, answer) }), this.#failure);
  }

  watch(request, { token, timeoutMs }, told) {
    const [path, descriptor] = this.#described("FeedService", "Watch", MethodType.SERVER_STREAMING);
    const { input, output } = method("FeedService", "Watch");
    const asked = fromJson(input, request);
    const feed = this.client.serverStreaming(this.url + path, asked, this.#metadata(token, timeoutMs), descriptor);
    feed.on("data", (message) => told.message(toJson(output, message)));
    feed.on("error", (error) => told.end(this.#failure(error)));
    feed.on("end", () => told.end({ code: 0 }));
    return () => feed.cancel();
  }

  #described(service, name, type) {
    const { input, output, parent } = method(service, name);
    const path = `/${parent.typeName}/${name}`;
    const write = (message) => toBinary(input, message);
    const read = (bytes) => fromBinary(output, bytes);
    const made = (schema) => function () { return create(schema); };
    return [path, new MethodDescriptor(path, type, made(input), made(output), write, read)];
  }

  #metadata(token, timeoutMs) {
    return {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(timeoutMs ? { deadline: String(Date.now() + timeoutMs) } : {}),
    };
  }

  #failure({ code, message, metadata }) {
    const found = {};
    const encoded = metadata?.["grpc-status-details-bin"];
    for (const any of encoded ? fromBinary(StatusSchema, base64Decode(encoded)).details : []) {
      for (const [name, schema] of Object.entries(details)) {
        const detail = anyUnpack(any, schema);
        if (detail) found[name] = toJson(schema, detail);
      }
    }
    return { code, message, details: found };
  }
}

/** Connect's client, generated as its users have it. */
class Connect {
  constructor(url) {
    const transport = createGrpcWebTransport({ baseUrl: url });
    this.clients = Object.fromEntries(
      Object.entries(services).map(([name, service]) => [name, createClient(service, transport)]),
    );
  }

  async call(service, name, request, how) {
    const { input, output, localName } = method(service, name);
    try {
      const answer = await this.clients[service][localName](fromJson(input, request), this.#options(how));
      return { answer: toJson(output, answer) };
    } catch (error) {
      return this.#failure(error);
    }
  }

  watch(request, how, told) {
    const { input, output } = method("FeedService", "Watch");
    const abort = new AbortController();
    const feed = this.clients.FeedService.watch(fromJson(input, request), {
      ...this.#options(how),
      signal: abort.signal,
    });
    (async () => {
      for await (const message of feed) told.message(toJson(output, message));
      told.end({ code: 0 });
    })().catch((error) => told.end(this.#failure(error)));
    return () => abort.abort();
  }

  #options({ token, timeoutMs }) {
    return { headers: token ? { authorization: `Bearer ${token}` } : {}, timeoutMs };
  }

  #failure(thrown) {
    const error = ConnectError.from(thrown);
    const found = {};
    for (const [name, schema] of Object.entries(details)) {
      const [detail] = error.findDetails(schema);
      if (detail) found[name] = toJson(schema, detail);
    }
    return { code: error.code, message: error.rawMessage, details: found };
  }
}

const kinds = { google: Google, connect: Connect };

/** One call with one answer: {answer}, or what it failed with. */
window.call = (kind, url, service, name, request, how) => new kinds[kind](url).call(service, name, request, how);

/** A feed: what has come stands in `messages`, how it ended in `ending`; `cancel()` lets it go. */
window.watch = (kind, url, request, how) => {
  const feed = { messages: [], ending: null };
  feed.cancel = new kinds[kind](url).watch(request, how, {
    message: (message) => feed.messages.push(message),
    end: (ending) => { feed.ending ??= ending; },
  });
  window.feeds = [...(window.feeds ?? []), feed];
  return window.feeds.length - 1;
};
