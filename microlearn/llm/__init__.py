"""Language models: text as numbers, counting, embeddings, attention, a GPT, its training, and how it writes."""

from microlearn.llm.attention import CausalSelfAttention, causal_attention, scaled_dot_product_attention
from microlearn.llm.embeddings import MLPLanguageModel, nearest
from microlearn.llm.generation import KVCache, generate, logprobs, next_token_probabilities, stream, stream_text
from microlearn.llm.invariants import check_model
from microlearn.llm.ngram import NGram
from microlearn.llm.simulation import pipeline, ring_all_reduce
from microlearn.llm.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, load_tokenizer
from microlearn.llm.training import evaluate, get_batch, parameter_groups, split, train
from microlearn.llm.transformer import GPT, MLP, Block, GPTConfig, parameter_count
from microlearn.llm.weights import load_gpt2

__all__ = [
    "GPT",
    "MLP",
    "BPETokenizer",
    "Block",
    "CausalSelfAttention",
    "CharTokenizer",
    "GPTConfig",
    "KVCache",
    "MLPLanguageModel",
    "NGram",
    "Tokenizer",
    "causal_attention",
    "check_model",
    "evaluate",
    "generate",
    "get_batch",
    "load_gpt2",
    "load_tokenizer",
    "logprobs",
    "nearest",
    "next_token_probabilities",
    "parameter_count",
    "parameter_groups",
    "pipeline",
    "ring_all_reduce",
    "scaled_dot_product_attention",
    "split",
    "stream",
    "stream_text",
    "train",
]
