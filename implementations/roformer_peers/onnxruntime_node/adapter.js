"use strict";
// An exported RoFormer in ONNX Runtime for Node, on the processor, in float32. The files are those of exporting.py, in
// the folder that ROFORMER_PEER_EXPORT names; the package is found beside this file or by NODE_PATH.

const fs = require("node:fs");
const path = require("node:path");
const ort = require("onnxruntime-node");
const { Unsupported, serve } = require("./kit.js");

// Arguments of the library that no exported file has; what is called by another name is left to the file to refuse.
const ABSENT = new Set([
  "head_mask", "inputs_embeds", "labels", "start_positions", "end_positions", "past_key_values",
  "encoder_hidden_states", "encoder_attention_mask", "training", "seed", "use_cache",
]);
const TYPES = {
  F64: "float64", F32: "float32", I64: "int64", U64: "uint64", I32: "int32", U32: "uint32", I16: "int16",
  U16: "uint16", I8: "int8", U8: "uint8", BOOL: "bool",
};

class Model {
  constructor(session) {
    this.session = session;
  }

  /** The outputs that the options ask for. A file has no defaults: they are those that its users write down. */
  async call(inputs, style, options) {
    const given = Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== null));
    for (const [name, value] of Object.entries({ ...given, ...options })) {
      // arguments such as past_key_values arrive item by item, as past_key_values.0.0
      if (ABSENT.has(name.split(".")[0]) && value !== null && value !== false)
        throw new Unsupported(`${name}: the exported file does not take it`);
    }
    if (options.return_dict === false) throw new Unsupported("return_dict: a file's outputs have names");
    if ("input_ids" in given) {
      const { dims, data } = given.input_ids;
      given.attention_mask ??= { dtype: "I64", dims, data: new BigInt64Array(data.length).fill(1n) };
      given.token_type_ids ??= { dtype: "I64", dims, data: new BigInt64Array(data.length) };
    }
    const shown = (name) => !name.includes(".") || options[`output_${name.split(".")[0]}`] === true;
    const feeds = Object.fromEntries(Object.entries(given).map(([name, tensor]) => [name, asTensor(tensor)]));
    const results = await this.session.run(feeds, this.session.outputNames.filter(shown));
    const named = Object.entries(results);
    return Object.fromEntries(named.map(([name, { dims, data }]) => [name, { dtype: "F32", dims, data }]));
  }
}

/** A tensor of ONNX Runtime from one of a file, or from a number. */
function asTensor(value) {
  if (typeof value !== "object") return value; // the session says what it thinks of it
  return new ort.Tensor(TYPES[value.dtype], value.data, value.dims);
}

const folder = process.env.ROFORMER_PEER_EXPORT ?? ".";
const heads = fs.readdirSync(folder).filter((name) => name.endsWith(".onnx")).map((name) => path.parse(name).name);

serve({
  name: "onnxruntime_node",
  version: `${ort.env.versions.node} (CPU, Node ${process.versions.node})`,
  capabilities: { heads: heads.sort(), dtypes: ["float32"], call_styles: ["keywords"], fixed_weights: true },

  async load(head) {
    const settings = { executionProviders: ["cpu"], intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
    return new Model(await ort.InferenceSession.create(path.join(folder, `${head}.onnx`), settings));
  },
});
