//! All paths against each other, and against the standard library in double precision.

use super::*;
use crate::automata::Edge;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn row(len: usize, spread: f32, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-spread..spread)).collect()
}

fn largest(x: &[f32]) -> f32 {
    x.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 2e-6 * expected.abs() + 1e-30, "{what}: {found}, expected {expected}");
}

/// Some large lists, many small ones, and numbers in none.
fn lists(len: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new(); 40];
    for (i, u) in row(len, 1.0, seed).into_iter().enumerate() {
        if let Some(list) = lists.get_mut((u.abs().powi(3) * 44.0) as usize) {
            list.push(i as u32);
        }
    }
    lists
}

fn laid_out(len: usize, lists: &[Vec<u32>], alone: bool) -> Lists {
    Lists::new(len, (0..).zip(lists.iter().map(|list| &list[..])), alone)
}

const LENGTHS: [usize; 11] = [0, 1, 15, 16, 17, 63, 64, 2047, 4096, 5003, 17_000];

#[test]
fn every_path_agrees_with_double_precision() {
    for (seed, len) in LENGTHS.into_iter().enumerate() {
        for (spread, factor) in [(1.0, 1.0), (20.0, 1.0), (10.0, 3.0), (1000.0, 0.01)] {
            let x = row(len, spread, seed as u64);
            let (origin, scale) = (largest(&x), Scale::new(factor));
            let t = |x: f32| (x as f64 - origin as f64) * factor;
            let lists = lists(len, 3);
            let listed = lists.concat();
            for simd in Simd::available() {
                let name = format!("{simd:?}, {len} of {spread} × {factor}");
                assert_eq!(simd.max(&x), origin, "{name}");
                let sum: f64 = x.iter().map(|&x| t(x).exp()).sum();
                let first: f64 = x.iter().map(|&x| t(x) * t(x).exp()).sum();
                close(simd.sum_exp(&x, origin, scale), sum, &name);
                let (zeroth, moment) = simd.moments(&x, origin, scale);
                close(zeroth, sum, &name);
                assert!((moment - first).abs() <= 2e-6 * sum.max(first.abs()), "{name}: {moment}, expected {first}");
                let mut each = vec![0.0; len];
                simd.exp(&x, origin, scale, &mut each);
                let slope = if simd == Simd(Level::Portable) { 2.4e-7 } else { 6e-8 };
                for (&x, &e) in x.iter().zip(&each) {
                    let bound = 3e-7 + slope * t(x).abs();
                    assert!((e as f64 / t(x).exp() - 1.0).abs() <= bound || t(x) < -87.0, "{name}: e^{} = {e}", t(x));
                }
                for alone in [false, true] {
                    let view = laid_out(len, &lists, alone);
                    assert_eq!((view.len(), view.alone()), (listed.len(), alone && len > 0), "{name}");
                    let read: Vec<f32> =
                        if alone { listed.iter().map(|&i| x[i as usize]).collect() } else { x.clone() };
                    let mut sums = vec![0.0; lists.len()];
                    let (found, all) = simd.softmax_parts(&x, scale, &mut Parts { lists: &view, sums: &mut sums });
                    assert_eq!(found, largest(&read), "{name}");
                    let of = |x: f32| ((x as f64 - found as f64) * factor).exp();
                    close(all, read.iter().map(|&x| of(x)).sum(), &name);
                    for (list, sum) in lists.iter().zip(sums) {
                        let expected: f64 = list.iter().map(|&i| of(x[i as usize])).sum();
                        let bound = (2e-6 + slope * expected.ln().abs()) * expected;
                        assert!(
                            (sum - expected).abs() <= bound + 1e-30 || list.is_empty(),
                            "{name}: {sum}, {expected}"
                        );
                    }
                }
                let peak = simd.softmax(&x, scale);
                close(peak.sum, sum, &name);
                assert!(len == 0 || peak.value == origin && x[peak.index] == origin, "{name}: {peak:?}");
            }
        }
    }
}

/// Numbers with many ties.
#[test]
fn shapes_are_the_largest_and_the_moments() {
    for (seed, len) in LENGTHS.into_iter().enumerate() {
        let x: Vec<f32> = row(len, 20.0, seed as u64).into_iter().map(|x| (x * 8.0).round() / 8.0).collect();
        let (origin, scale) = (largest(&x).max(0.0), Scale::new(0.3));
        let lists = lists(len, 5);
        let expected = |list: &Vec<u32>, moments: bool| {
            let mut of: Vec<f32> = list.iter().map(|&i| x[i as usize]).collect();
            of.sort_by(|a, b| b.total_cmp(a));
            let t = |&x: &f32| (x as f64 - origin as f64) * 0.3;
            let moment = if moments { of.iter().map(|x| t(x) * t(x).exp()).sum() } else { 0.0 };
            let best = [0, 1].map(|i| of.get(i).copied().unwrap_or(f32::NEG_INFINITY));
            Shape { best, moment }
        };
        for simd in Simd::available() {
            for (moments, alone) in [(true, false), (true, true), (false, false), (false, true)] {
                let view = laid_out(len, &lists, alone);
                let mut found = vec![Shape::NONE; lists.len()];
                let mut shapes = Shapes { lists: &view, shapes: &mut found };
                simd.shapes(&x, moments.then_some((origin, scale)), &mut shapes);
                for (list, found) in lists.iter().zip(&found) {
                    let expected = expected(list, moments);
                    assert_eq!(found.best, expected.best, "{simd:?}, {len}");
                    close(found.moment, expected.moment, "moment");
                }
            }
            for at in [0, len / 2, len.saturating_sub(1)] {
                let Some(&value) = x.get(at) else { continue };
                assert_eq!(simd.position(&x, value), x.iter().position(|&x| x == value), "{simd:?}, {len}");
                assert_eq!(simd.position(&x, 77.0), None);
            }
        }
    }
}

/// Sixteen lanes everywhere: the machines that fuse give the same bits.
#[test]
fn fused_paths_agree_to_the_last_bit() {
    let fused: Vec<Simd> = Simd::available().into_iter().filter(|&s| s != Simd(Level::Portable)).collect();
    for len in LENGTHS {
        let x = row(len, 30.0, 7);
        let lists = lists(len, 8);
        let view = laid_out(len, &lists, false);
        let answers = fused.iter().map(|simd| {
            let mut sums = vec![0.0; lists.len()];
            let parts = simd.softmax_parts(&x, Scale::new(0.7), &mut Parts { lists: &view, sums: &mut sums });
            (parts, sums, simd.sum_exp(&x, 30.0, Scale::new(1.3)), simd.moments(&x, 30.0, Scale::new(1.3)))
        });
        let answers: Vec<_> = answers.collect();
        assert!(answers.windows(2).all(|w| w[0] == w[1]), "{answers:?}");
    }
}

#[test]
fn extremes() {
    let infinite = f32::NEG_INFINITY;
    for simd in Simd::available() {
        let scale = Scale::new(1.0);
        assert_eq!(simd.max(&[infinite; 20]), infinite);
        assert_eq!(simd.sum_exp(&[infinite; 20], 0.0, scale), 0.0);
        assert_eq!(simd.moments(&[infinite, 0.0], 0.0, scale), (1.0, 0.0));
        let (mut shape, mut sums) = ([Shape::NONE], [0.0]);
        let all = laid_out(200, &[(0..200).collect()], false);
        let mut shapes = Shapes { lists: &all, shapes: &mut shape };
        simd.shapes(&[infinite; 200], Some((0.0, Scale::new(2.0))), &mut shapes);
        assert_eq!((shape[0].best, shape[0].moment), ([infinite; 2], 0.0));
        let mut parts = Parts { lists: &all, sums: &mut sums };
        assert_eq!(simd.softmax_parts(&[infinite; 200], scale, &mut parts), (infinite, 0.0));
        assert_eq!(sums, [0.0]);
        assert_eq!(simd.sum_exp(&[0.0; 5003], 0.0, scale), 5003.0);
        assert_eq!(simd.sum_exp(&[-1e4, -3e38, f32::MIN], 0.0, scale), 0.0);
        for at in [0, 17, 2000, 4999] {
            let mut x = row(5000, 3.0, 9);
            x[at] = f32::NAN;
            assert!(simd.sum_exp(&x, 3.0, scale).is_nan() && simd.softmax(&x, scale).sum.is_nan());
            let all = laid_out(5000, &[(0..5000).collect()], false);
            assert!(simd.softmax_parts(&x, scale, &mut Parts { lists: &all, sums: &mut [0.0] }).1.is_nan());
        }
        for factor in [1e-38, 1e-6, 1e6, 1e38] {
            let sum = simd.sum_exp(&[0.0, -1.0, infinite], 0.0, Scale::new(factor));
            assert!((0.99..=3.01).contains(&sum), "{factor}: {sum}");
        }
    }
}

/// Edges in bands and out of them, on any window, against one sum for each state.
#[test]
fn edges_are_summed() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (states, labels) = (700, 9);
    let shared: Vec<(u32, u32)> = (0..6).map(|_| (rng.random_range(0..40), rng.random_range(0..labels))).collect();
    let mut edge = |q: u32, n: u32| match shared.get(n as usize).filter(|_| !(64..90).contains(&q)) {
        Some(&(by, label)) => Edge { label, target: (q + by).min(states - 1) },
        None => Edge { label: rng.random_range(0..labels), target: rng.random_range(0..states) },
    };
    let all: Vec<Vec<Edge>> = (0..states).map(|q| (0..q % 11).map(|n| edge(q, n)).collect()).collect();
    let edges = Edges::new(states as usize, labels as usize, |q| &all[q as usize]).unwrap();
    let mut numbers = [Box::new([0.0; NUMBERS]), Box::new([0.0; NUMBERS])];
    let lengths = [labels, states].map(|len| len as usize);
    (0..2).for_each(|i| numbers[i][..lengths[i]].fill_with(|| rng.random_range(0.0..1.0)));
    let [mass, values] = &numbers;
    let single = numbers.each_ref().map(|numbers| Box::new(numbers.map(|x| x as f32)));
    let logs = numbers.each_ref().map(|numbers| Box::new(numbers.map(|x: f64| MaxPlus(x.ln()))));
    let term = |edge: &Edge| mass[edge.label as usize] * values[edge.target as usize];
    let expected: Vec<f64> = all.iter().map(|edges| edges.iter().map(term).sum()).collect();
    for simd in Simd::available() {
        for windows in [0..3, 1..2] {
            let mut out = vec![f64::NAN; windows.len() * WINDOW];
            let mut out32 = vec![f32::NAN; windows.len() * WINDOW];
            simd.edge_sums64(&edges, windows.clone(), mass, values, &mut out);
            simd.edge_sums32(&edges, windows.clone(), &single[0], &single[1], &mut out32);
            let mut met = vec![0.0; labels as usize + 1];
            simd.edge_meetings(&edges, windows.clone(), (&values[..], &values[..]), &mut met);
            for label in 0..labels {
                let states = windows.start * WINDOW..(windows.end * WINDOW).min(all.len());
                let terms = states.flat_map(|q| all[q].iter().map(move |edge| (q, edge)));
                let terms = terms.filter(|(_, edge)| edge.label == label);
                let expected: f64 = terms.map(|(q, edge)| values[q] * values[edge.target as usize]).sum();
                assert!((met[label as usize] - expected).abs() <= 1e-10, "{simd:?}");
            }
            let mut maxima = vec![MaxPlus(f64::NAN); windows.len() * WINDOW];
            simd.edge_maxima(&edges, windows.clone(), &logs[0], &logs[1], &mut maxima);
            let of = |(q, found): (usize, &MaxPlus)| {
                let edges = all.get(windows.start * WINDOW + q).map_or(&[][..], |edges| edges);
                let best = edges.iter().map(|edge| mass[edge.label as usize].ln() + values[edge.target as usize].ln());
                *found == MaxPlus(best.fold(f64::NEG_INFINITY, f64::max))
            };
            assert!(maxima.iter().enumerate().all(of), "{simd:?}");
            let known = expected.get(windows.start * WINDOW..).unwrap_or_default();
            for ((sum, sum32), expected) in out.iter().zip(&out32).zip(known.iter().chain(std::iter::repeat(&0.0))) {
                assert!((sum - expected).abs() <= 1e-12 && (*sum32 as f64 - expected).abs() <= 1e-5, "{simd:?}");
            }
        }
    }
    assert!(Edges::new((1 << 16) + 1, 1, |_| &[]).is_none() && Edges::new(1, 1 << 16, |_| &[]).is_none());
}

#[test]
fn messages_are_rescaled() {
    for simd in Simd::available() {
        for len in [1, 15, 16, 40] {
            let mut values: Vec<f64> = (0..len).map(|i| 2f64.powi(-i)).collect();
            assert_eq!(simd.rescale64(&mut values, 8.0, 0.5, 8.0 * 2f64.powi(-9)), Some(8.0));
            let expected = (0..len).map(|i| if i < 10 { 2f64.powi(3 - i) } else { 0.0 });
            assert!(values.iter().copied().eq(expected), "{values:?}");
        }
        assert_eq!(simd.rescale64(&mut [0.4, 0.1], 8.0, 0.5, 0.0), None);
        assert_eq!(simd.rescale32(&mut [0.0; 20], 1.0, 0.5, 0.0), None);
        assert_eq!(simd.rescale32(&mut [1.0, f32::INFINITY], 1.0, 0.5, 0.0), None);
        assert_eq!(simd.rescale32(&mut [1.0, 4.0], 1.0, 0.5, 0.0), Some(0.25));
    }
}
