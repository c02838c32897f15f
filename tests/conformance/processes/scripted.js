"use strict";
// An adapter that computes nothing: outputs of the right shapes, filled with what came in.
const { Unsupported, serve } = require("./kit.js");

serve({
  name: "scripted",
  version: "1",
  capabilities: { heads: ["base"], call_styles: ["keywords", "dict", "single"], dtypes: ["float32"] },

  load(head, config, weights, dtype) {
    if (weights["embeddings.word_embeddings.weight"].dims[0] !== config.vocab_size) throw new TypeError("weights");
    return {
      call({ input_ids }, style, options) {
        if (style === "dict") throw new Unsupported("dict");
        if (!(input_ids.data instanceof BigInt64Array)) throw new RangeError("input_ids");
        const data = new Float32Array(input_ids.data.length * config.hidden_size).fill(Number(input_ids.data[0]));
        return { last_hidden_state: { dtype: "F32", dims: [...input_ids.dims, config.hidden_size], data } };
      },
    };
  },
});
