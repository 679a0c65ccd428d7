use rand::SeedableRng;
use stencil_lm::automata::{Dfa, Language, Limits, TokenAutomaton};
use stencil_lm::inference::{Options, Problem, infer, reach};
use stencil_lm::{Scores, Vocab};

#[test]
fn tokens_may_cross_the_end_of_a_match() {
    let bytes = |t: &str| Some(t.as_bytes().to_vec());
    let vocab = Vocab::from_bytes(vec![bytes("a"), bytes("b"), bytes("ab"), bytes("ba"), None], Some(4), None);
    let dfa = Dfa::compile(&Language::regex("(?:ab)+"), &Limits::default()).unwrap();
    let automaton = TokenAutomaton::lift(&dfa, &vocab).unwrap();
    let decided = [Some(0), None, None, None];
    let reach = reach(&Problem::new(&automaton, &decided)).unwrap();
    assert_eq!(reach.legal_tokens(1), [1, 3]);
    let scores = Scores::zeros(4, 5);
    let posterior = infer(&reach, &scores, &Options::default()).unwrap();
    let text = posterior.sample(&mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
    assert!(automaton.accepts(&text), "{text:?}");
    assert!(automaton.accepts(&posterior.map()));
    assert!(posterior.log_z() < 0.0);
    println!("{:?} {:?} {:?}", text, posterior.marginal(1), posterior.log_z());
}
