//! Exact inference over a token automaton: feasibility, marginals, joint samples, MAP, log Z.
