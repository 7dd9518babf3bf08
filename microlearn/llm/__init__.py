"""Language models: text as numbers, counting, embeddings, attention, a GPT, its training, and how it writes."""

from microlearn.llm.attention import CausalSelfAttention, causal_attention, scaled_dot_product_attention
from microlearn.llm.embeddings import MLPLanguageModel, nearest
from microlearn.llm.generation import KVCache, generate, logprobs, next_token_probabilities, stream, stream_text
from microlearn.llm.invariants import check_model
from microlearn.llm.ngram import NGram
from microlearn.llm.parallel import Group, ZeroRedundancyOptimizer, world
from microlearn.llm.plan import HARDWARE, Architecture, Hardware, Plan, graph_flops
from microlearn.llm.precision import GradScaler, autocast, precision_of, round_to
from microlearn.llm.recompute import recompute
from microlearn.llm.simulation import pipeline, ring_all_reduce
from microlearn.llm.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, load_tokenizer
from microlearn.llm.training import evaluate, get_batch, parameter_groups, split, train
from microlearn.llm.transformer import GPT, MLP, Block, GPTConfig, parameter_count
from microlearn.llm.weights import load_gpt2

__all__ = [
    "GPT",
    "HARDWARE",
    "MLP",
    "Architecture",
    "BPETokenizer",
    "Block",
    "CausalSelfAttention",
    "CharTokenizer",
    "GPTConfig",
    "GradScaler",
    "Group",
    "Hardware",
    "KVCache",
    "MLPLanguageModel",
    "NGram",
    "Plan",
    "Tokenizer",
    "ZeroRedundancyOptimizer",
    "autocast",
    "causal_attention",
    "check_model",
    "evaluate",
    "generate",
    "get_batch",
    "graph_flops",
    "load_gpt2",
    "load_tokenizer",
    "logprobs",
    "nearest",
    "next_token_probabilities",
    "parameter_count",
    "parameter_groups",
    "pipeline",
    "precision_of",
    "recompute",
    "ring_all_reduce",
    "round_to",
    "scaled_dot_product_attention",
    "split",
    "stream",
    "stream_text",
    "train",
    "world",
]
