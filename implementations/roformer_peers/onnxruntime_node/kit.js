"use strict";
// Turns a JavaScript adapter into a process that the suite can check: the JSON lines of messages.schema.json, and
// safetensors files. Needs Node 20 and no package; may be copied.
//
//   serve({ name, version, capabilities, versions, load(head, config, weights, dtype) → model })
//   model.call(inputs, style, options) → outputs, each of them { dtype, dims, data } with a typed array

const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const readline = require("node:readline");

// The types of safetensors files and the arrays that hold them; BOOL is a byte of 0 or 1.
const ARRAYS = {
  F64: Float64Array, F32: Float32Array, I64: BigInt64Array, U64: BigUint64Array, I32: Int32Array, U32: Uint32Array,
  I16: Int16Array, U16: Uint16Array, F16: Uint16Array, BF16: Uint16Array, I8: Int8Array, U8: Uint8Array,
  BOOL: Uint8Array,
};

/** The implementation does not have what it was asked for: such a check counts as not claimed. */
class Unsupported extends Error {}

/** Tensors by name from a safetensors file. */
function readTensors(file) {
  const bytes = fs.readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...described } = JSON.parse(bytes.toString("utf8", 8, start));
  const read = ([name, { dtype, shape, data_offsets: [from, to] }]) => {
    const data = new ARRAYS[dtype](new Uint8Array(bytes.subarray(start + from, start + to)).buffer);
    return [name, { dtype, dims: shape, data }];
  };
  return Object.fromEntries(Object.entries(described).map(read));
}

/** Tensors by name to a safetensors file. */
function writeTensors(file, tensors) {
  const described = {};
  const parts = [];
  let offset = 0;
  for (const [name, { dtype, dims, data }] of Object.entries(tensors)) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    described[name] = { dtype, shape: dims.map(Number), data_offsets: [offset, (offset += bytes.length)] };
    parts.push(bytes);
  }
  const header = Buffer.from(JSON.stringify(described));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  fs.writeFileSync(file, Buffer.concat([length, header, ...parts]));
}

/** An exception as the suite wants it told: a RangeError is bad input, as Python's ValueError is. */
function refusal(error) {
  if (error instanceof Unsupported) return { unsupported: error.message };
  const kinds = { TypeError: "TypeError", RangeError: "ValueError" };
  return { error: { kind: kinds[error.name] ?? "RuntimeError", message: String(error.message) } };
}

class Server {
  constructor(adapter) {
    this.adapter = adapter;
    this.models = new Map();
  }

  async answer(message) {
    if (message.command === "start") return this.start(message);
    const { id } = message;
    try {
      if (!["load", "release", "call"].includes(message.command)) throw new Unsupported(message.command);
      return { id, ...(await this[message.command](message)) };
    } catch (error) {
      return { id, ...refusal(error) };
    }
  }

  start({ folder }) {
    this.folder = folder;
    const { name, version, capabilities, versions } = this.adapter; // what it runs on is shown in reports
    const told = { node: process.versions.node, ...versions };
    return { protocol: 1, implementation: { name, version, language: "JavaScript", capabilities, versions: told } };
  }

  async load({ id, head, config, weights, dtype }) {
    this.models.set(id, await this.adapter.load(head, config, readTensors(path.join(this.folder, weights)), dtype));
    return { done: true };
  }

  release({ models }) {
    models.forEach((number) => this.models.delete(number));
    return { done: true };
  }

  async call({ id, model, inputs, values, order, style, mode }) {
    const named = { ...readTensors(path.join(this.folder, inputs)), ...values };
    const side = (prefix) => {
      const names = order.filter((name) => name.startsWith(prefix));
      return Object.fromEntries(names.map((name) => [name.slice(prefix.length), named[name]]));
    };
    if (!this.models.has(model)) throw new Error(`no model has the number ${model}`);
    if (mode) throw new Unsupported(`${mode}: calls are not executed in several ways`);
    const outputs = await this.models.get(model).call(side("inputs/"), style, side("options/"));
    const file = `${id}.outputs.safetensors`;
    writeTensors(path.join(this.folder, file), outputs);
    return { outputs: file };
  }
}

/** Answer the suite's messages until it says stop or goes away. */
async function serve(adapter) {
  const descriptors = process.env.ROFORMER_CONFORMANCE_DESCRIPTORS;
  if (!descriptors) throw new Error('this is started by the suite: roformer-conformance check "cmd:node adapter.js"');
  const [from, to] = descriptors.split(",").map(Number);
  const server = new Server(adapter);
  // a stream of node:fs would wait in a thread for the next message, and that thread would keep the process from ending
  const input = new net.Socket({ fd: from, readable: true, writable: false });
  for await (const line of readline.createInterface({ input })) {
    const message = JSON.parse(line);
    if (message.command === "stop") process.exit(0);
    let left = Buffer.from(`${JSON.stringify(await server.answer(message))}\n`);
    while (left.length) left = left.subarray(fs.writeSync(to, left));
  }
  process.exit(0);
}

module.exports = { Unsupported, serve };
