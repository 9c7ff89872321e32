//! BERT's encoder (Devlin et al. 2018), as far as sentence-transformers use it: no second text, no dropout, no head.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module as _, VarBuilder, ops};

use crate::directory::{Activation, BertConfig};

/// What is added to the scores of places behind a text's end, so that nothing attends to them.
const HIDDEN: f64 = -1e9;

/// The network.
pub(crate) struct Bert {
    words: Embedding,
    positions: Tensor,
    /// The mark of a first text; every text is one.
    kind: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl Bert {
    /// The network with the weights of a `model.safetensors`.
    pub(crate) fn new(
        config: &BertConfig,
        activation: Activation,
        weights: Vec<u8>,
    ) -> Result<Self> {
        let vars = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let size = config.hidden_size;
        let parts = vars.pp("embeddings");
        let kinds = parts.get(
            (config.type_vocab_size, size),
            "token_type_embeddings.weight",
        )?;
        let layers = vars.pp("encoder.layer");
        Ok(Self {
            words: candle_nn::embedding(config.vocab_size, size, parts.pp("word_embeddings"))?,
            positions: parts.get(
                (config.max_position_embeddings, size),
                "position_embeddings.weight",
            )?,
            kind: kinds.get(0)?,
            norm: norm(config, parts.pp("LayerNorm"))?,
            layers: (0..config.num_hidden_layers)
                .map(|index| Layer::new(config, activation, &layers.pp(index)))
                .collect::<Result<_>>()?,
        })
    }

    /// The vectors of all tokens: texts × tokens × size. `tokens` are the texts' tokens, all filled up to one length;
    /// `mask` is 1 where there is a token and 0 where there is filling.
    pub(crate) fn forward(&self, tokens: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (_, length) = tokens.dims2()?;
        let positions = self.positions.narrow(0, 0, length)?;
        let sum = self
            .words
            .forward(tokens)?
            .broadcast_add(&positions)?
            .broadcast_add(&self.kind)?;
        let mut states = self.norm.forward(&sum)?;
        let hidden = ((1.0 - mask)? * HIDDEN)?.unsqueeze(1)?.unsqueeze(1)?;
        for layer in &self.layers {
            states = layer.forward(&states, &hidden)?;
        }
        Ok(states)
    }
}

struct Layer {
    attention: Attention,
    widen: Linear,
    activation: Activation,
    narrow: Linear,
    norm: LayerNorm,
}

impl Layer {
    fn new(config: &BertConfig, activation: Activation, vars: &VarBuilder<'_>) -> Result<Self> {
        let (size, wide) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            attention: Attention::new(config, &vars.pp("attention"))?,
            widen: candle_nn::linear(size, wide, vars.pp("intermediate.dense"))?,
            activation,
            narrow: candle_nn::linear(wide, size, vars.pp("output.dense"))?,
            norm: norm(config, vars.pp("output.LayerNorm"))?,
        })
    }

    fn forward(&self, states: &Tensor, hidden: &Tensor) -> Result<Tensor> {
        let states = self.attention.forward(states, hidden)?;
        let wide = self.widen.forward(&states)?;
        let wide = match self.activation {
            Activation::Gelu => wide.gelu_erf()?,
            Activation::GeluTanh => wide.gelu()?,
            Activation::Relu => wide.relu()?,
        };
        self.norm.forward(&(self.narrow.forward(&wide)? + states)?)
    }
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    join: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl Attention {
    fn new(config: &BertConfig, vars: &VarBuilder<'_>) -> Result<Self> {
        let size = config.hidden_size;
        let square = |name: &str| candle_nn::linear(size, size, vars.pp(name));
        Ok(Self {
            query: square("self.query")?,
            key: square("self.key")?,
            value: square("self.value")?,
            join: square("output.dense")?,
            norm: norm(config, vars.pp("output.LayerNorm"))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, states: &Tensor, hidden: &Tensor) -> Result<Tensor> {
        let (texts, length, size) = states.dims3()?;
        let per_head = size / self.heads;
        let split = |linear: &Linear| {
            let all = linear.forward(states)?;
            let heads = all.reshape((texts, length, self.heads, per_head))?;
            heads.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scale = f64::from(u32::try_from(per_head).unwrap_or(u32::MAX)).sqrt();
        let scores = (query.matmul(&key.t()?.contiguous()?)? / scale)?;
        let shares = ops::softmax_last_dim(&scores.broadcast_add(hidden)?)?;
        let joined = shares
            .matmul(&value)?
            .transpose(1, 2)?
            .flatten_from(D::Minus2)?;
        self.norm.forward(&(self.join.forward(&joined)? + states)?)
    }
}

fn norm(config: &BertConfig, vars: VarBuilder<'_>) -> Result<LayerNorm> {
    candle_nn::layer_norm(config.hidden_size, config.layer_norm_eps, vars)
}
