use super::math::widen_bf16;
use super::widening::gemm_widening;
use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stencil_engine::cpu::Level;

/// Numbers between −scale and scale.
pub fn random(len: usize, scale: f32, rng: &mut impl Rng) -> Vec<f32> {
    (0..len).map(|_| (rng.random::<f32>() - 0.5) * 2.0 * scale).collect()
}

/// Compares a derivative with central differences of fourth order, so that a large step may keep f32 noise small.
pub fn check_gradient(name: &str, got: f32, x: f32, mut f: impl FnMut(f32) -> f64) {
    let h = 1e-2f32;
    let want = (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * f64::from(h));
    let got = f64::from(got);
    assert!((got - want).abs() < 3e-3 * (1.0 + want.abs()), "{name}: {got}, not {want}");
}

/// A scalar that depends on every number in its own way, and its gradient.
fn mix(x: &[f32]) -> f64 {
    x.iter().zip(mix_gradient(x.len())).map(|(&x, w)| f64::from(x) * f64::from(w)).sum()
}
fn mix_gradient(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.4).collect()
}

/// Checks the gradient of `mix(f(x))` at every number of `x`.
fn check_all(name: &str, x: &[f32], gradient: &[f32], f: impl Fn(&[f32]) -> Vec<f32>) {
    assert_eq!(x.len(), gradient.len());
    let mut moved = x.to_vec();
    for i in 0..x.len() {
        let at = |value: f32| {
            moved[i] = value;
            mix(&f(&moved))
        };
        check_gradient(&format!("{name} {i}"), gradient[i], x[i], at);
        moved[i] = x[i];
    }
}

#[test]
fn rms_norm_has_its_gradient() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (x, w) = (random(3 * 18, 1.0, &mut rng), random(18, 1.0, &mut rng));
    let norm = RmsNorm { eps: 1e-5 };
    let forward = |x: &[f32], w: &[f32]| {
        let mut out = vec![0.0; x.len()];
        norm.forward(&mut out, x, w);
        out
    };
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    norm.backward(&mut dx, &mut dw, &x, &w, &mix_gradient(x.len()));
    check_all("x", &x, &dx, |x| forward(x, &w));
    check_all("w", &w, &dw, |w| forward(&x, w));
}

#[test]
fn swiglu_has_its_gradient() {
    let x = random(3 * 38, 2.0, &mut ChaCha8Rng::seed_from_u64(2));
    let mut dx = x.clone();
    swiglu_backward(&mut dx, &mix_gradient(3 * 19), 19);
    check_all("x", &x, &dx, |x| {
        let mut out = vec![0.0; x.len() / 2];
        swiglu(&mut out, x, 19);
        out
    });
}

#[test]
fn cross_entropy_has_its_gradient() {
    let x = random(3 * 19, 2.0, &mut ChaCha8Rng::seed_from_u64(3));
    let targets = [0, 18, 7];
    let losses = |x: &[f32]| {
        let mut losses = vec![0.0; 3];
        cross_entropy(&mut losses, x, &targets);
        losses
    };
    let (mut again, mut dx) = (vec![0.0; 3], x.clone());
    cross_entropy_backward(&mut again, &mut dx, &targets, &mix_gradient(3));
    losses(&x).iter().zip(&again).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
    check_all("logits", &x, &dx, losses);
}

#[test]
fn rope_has_its_gradient_and_turns_as_defined() {
    let x = random(2 * 8, 1.0, &mut ChaCha8Rng::seed_from_u64(4));
    // Six of the eight numbers of a head are turned.
    let rope = Rope::new(10, 6, 100.0);
    let turned = |x: &[f32]| {
        let mut x = x.to_vec();
        rope.turn(&mut x, 16, 16, 8, &[9]);
        x
    };
    let mut dx = mix_gradient(x.len());
    rope.turn_back(&mut dx, 16, 16, 8, &[9]);
    check_all("x", &x, &dx, turned);

    let y = turned(&x);
    let angle = 9.0 * 100f32.powf(-2.0 / 6.0);
    for head in [0, 8] {
        let want = x[head + 1] * angle.cos() - x[head + 4] * angle.sin();
        assert!((y[head + 1] - want).abs() < 1e-5);
        assert_eq!(y[head + 6..head + 8], x[head + 6..head + 8]);
    }
}

/// Sequences of these lengths in rows of `[q | k | v]`.
fn packed(qkv: &[f32], lengths: &[usize], heads: Heads, mask: Mask) -> Vec<f32> {
    let d = heads.queries * heads.size;
    let mut out = vec![0.0; qkv.len() / 3];
    let mut start = 0;
    let sequences = lengths.iter().map(|&len| {
        let own = Matrix::new(&qkv[start * 3 * d..], len, 3 * d);
        start += len;
        let part = |which: usize| own.part(0..len, which * d..(which + 1) * d);
        Sequence { q: part(0), k: part(1), v: part(2), offset: 0 }
    });
    attention(&mut out, &sequences.collect::<Vec<_>>(), heads, mask);
    out
}

#[test]
fn attention_has_its_gradient() {
    let lengths = [2, 5, 1];
    let heads = Heads::even(2, 4);
    let qkv = random(8 * 24, 1.0, &mut ChaCha8Rng::seed_from_u64(5));
    for mask in [Mask::Full, Mask::Causal] {
        let mut gradient = qkv.clone();
        attention_backward(&mut gradient, &mix_gradient(8 * 8), &lengths, heads, mask);
        check_all(&format!("{mask:?}"), &qkv, &gradient, |qkv| packed(qkv, &lengths, heads, mask));
    }
}

#[test]
fn attention_is_what_it_is_defined_to_be() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let heads = Heads { queries: 4, keys: 2, size: 6, scale: 0.3 };
    // Queries at positions 70 to 219 of 220 keys: more than one block.
    let (queries, keys, offset) = (150, 220, 70);
    let q = random(queries * 24, 1.0, &mut rng);
    let (k, v) = (random(keys * 12, 1.0, &mut rng), random(keys * 12, 1.0, &mut rng));
    let added: Vec<f32> =
        (0..queries * keys).map(|i| if i % 7 == 3 { f32::NEG_INFINITY } else { (i % 5) as f32 * 0.1 }).collect();
    for mask in [Mask::Full, Mask::Causal, Mask::Added(&added)] {
        let mut out = vec![0.0; q.len()];
        let sequence = Sequence {
            q: Matrix::new(&q, queries, 24),
            k: Matrix::new(&k, keys, 12),
            v: Matrix::new(&v, keys, 12),
            offset,
        };
        attention(&mut out, &[sequence], heads, mask);
        for (i, h) in [(0, 0), (3, 1), (127, 2), (128, 3), (149, 0)] {
            let pos = i + offset;
            let term = |j: usize| match mask {
                Mask::Full => 0.0,
                Mask::Causal if j <= pos => 0.0,
                Mask::Added(terms) => f64::from(terms[i * keys + j]),
                _ => f64::NEG_INFINITY,
            };
            let dot =
                |j: usize| (0..6).map(|c| f64::from(q[i * 24 + h * 6 + c] * k[j * 12 + h / 2 * 6 + c])).sum::<f64>();
            let weights: Vec<f64> = (0..keys).map(|j| (0.3 * dot(j) + term(j)).exp()).collect();
            let total: f64 = weights.iter().sum();
            for c in 0..6 {
                let want = (0..keys).map(|j| weights[j] / total * f64::from(v[j * 12 + h / 2 * 6 + c])).sum::<f64>();
                assert!((f64::from(out[i * 24 + h * 6 + c]) - want).abs() < 1e-5, "{i} {h}");
            }
        }
    }
}

#[test]
fn products_of_any_shape_and_stride_are_right() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (m, n, k) in [(1, 1, 1), (3, 5, 7), (300, 17, 33), (33, 700, 64), (520, 530, 40), (0, 4, 4), (4, 4, 0)] {
        let (a, b) = (random(m * k, 1.0, &mut rng), random(k * n, 1.0, &mut rng));
        let start = random(m * (n + 3), 1.0, &mut rng);
        // By `gemm`, and by what replaces it at lower levels.
        let lower = Level::available().into_iter().filter(|level| *level != Level::best()).map(Some);
        for (by, (add, alpha)) in lower.chain([None]).flat_map(|by| [(by, (false, 1.0)), (by, (true, 0.5))]) {
            let mut out = start.clone();
            // b is stored (n, k).
            let product = MatrixMut::strided(&mut out, m, n, n + 3);
            let (a_view, b_view) = (Matrix::new(&a, m, k), Matrix::new(&b, n, k).t());
            match by {
                None => gemm(product, a_view, b_view, alpha, add),
                Some(level) => forced::multiply(product, a_view, b_view, alpha, add, level),
            }
            for (at, (got, start)) in out.iter().zip(&start).enumerate() {
                let (i, j) = (at / (n + 3), at % (n + 3));
                let dot = || (0..k).map(|c| a[i * k + c] * b[j * k + c]).sum::<f32>();
                let want = if j >= n { *start } else { alpha * dot() + if add { *start } else { 0.0 } };
                assert!((got - want).abs() < 1e-4, "{by:?}: {m}×{n}×{k} at ({i}, {j}): {got}, not {want}");
            }
        }
    }
}

/// Rows of (n, k) numbers in half precision.
struct Half<'a>(&'a [half::bf16], usize);

impl Rows for Half<'_> {
    fn widen(&self, row: usize, from: usize, to: &mut [f32]) -> candle_core::Result<()> {
        widen_bf16(&self.0[row * self.1 + from..][..to.len()], to);
        Ok(())
    }
    fn stored(&self, rows: std::ops::Range<usize>) -> std::ops::Range<*const u8> {
        let numbers = self.0[rows.start * self.1..rows.end * self.1].as_ptr_range();
        numbers.start.cast()..numbers.end.cast()
    }
}

/// a·bᵀ at each level of this processor, and at the one in use.
fn at_every_level(a: Matrix, b: &Half, n: usize) -> Vec<Vec<f32>> {
    let at = |level| {
        let mut out = vec![7.0; a.rows() * n];
        widening::multiply(MatrixMut::new(&mut out, a.rows(), n), a, b, level).unwrap();
        out
    };
    let all = Level::available().into_iter().map(at);
    all.chain([gemm_widening(a, b, n).unwrap()]).collect()
}

#[test]
fn products_with_half_precision_are_right_and_do_not_depend_on_other_rows() {
    use half::bf16;
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let shapes =
        [(1, 40, 30), (5, 600, 700), (70, 33, 16), (40, 49, 1100), (300, 50, 2070), (17, 1, 1), (1030, 97, 33)];
    for (m, n, k) in shapes {
        let a = random(m * k, 1.0, &mut rng);
        let b: Vec<bf16> = random(n * k, 1.0, &mut rng).into_iter().map(bf16::from_f32).collect();
        let all = at_every_level(Matrix::new(&a, m, k), &Half(&b, k), n);
        for (kernel, out) in all.iter().enumerate() {
            for (at, got) in out.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let want = (0..k).map(|c| a[i * k + c] * b[j * k + c].to_f32()).sum::<f32>();
                assert!((got - want).abs() < 2e-3, "{kernel}: {m}×{n}×{k} at ({i}, {j}): {got}, not {want}");
            }
        }
        let part = m / 3..m - m / 3;
        let some = at_every_level(Matrix::new(&a, m, k).part(part.clone(), 0..k), &Half(&b, k), n);
        for (all, some) in all.iter().zip(&some) {
            assert!(all[part.start * n..part.end * n] == some[..], "{m}×{n}×{k}");
        }
    }
}

#[test]
fn tensors_get_what_candle_computes() {
    use candle_core::{DType, Device, Tensor};
    use candle_nn::ops;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut make =
        |shape: &[usize]| Tensor::from_vec(random(shape.iter().product(), 1.0, &mut rng), shape, &Device::Cpu).unwrap();
    let close = |name: &str, got: Tensor, want: Tensor| {
        assert_eq!(got.shape(), want.shape(), "{name}");
        let worst = (got - want).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(worst.to_scalar::<f32>().unwrap() < 2e-5, "{name}: {worst}");
    };
    let (x, w, bias) = (make(&[7, 40]), make(&[50, 40]), make(&[50]));
    let product = x.matmul(&w.t().unwrap()).unwrap();
    close("linear", tensor::linear(&x, &w, None).unwrap(), product.clone());
    close("bias", tensor::linear(&x, &w, Some(&bias)).unwrap(), product.broadcast_add(&bias).unwrap());
    for dtype in [DType::BF16, DType::F16] {
        let narrow = w.to_dtype(dtype).unwrap();
        let want = x.matmul(&narrow.to_dtype(DType::F32).unwrap().t().unwrap()).unwrap();
        close("half", tensor::linear(&x, &narrow, None).unwrap(), want);
    }
    // A view whose rows are not contiguous.
    let view = x.narrow(1, 8, 20).unwrap();
    let (v, b) = (make(&[20]), make(&[20]));
    let contiguous = view.contiguous().unwrap();
    close("rms", tensor::rms_norm(&view, &v, 1e-6).unwrap(), ops::rms_norm(&contiguous, &v, 1e-6).unwrap());
    let want = ops::layer_norm(&contiguous, &v, &b, 1e-5).unwrap();
    close("layer norm", tensor::layer_norm(&view, &v, Some(&b), 1e-5).unwrap(), want);
    let (gate, up) = (make(&[7, 33]), make(&[7, 33]));
    close("silu", tensor::gate(Gate::Silu, &gate, &up).unwrap(), (gate.silu().unwrap() * &up).unwrap());
    close("gelu", tensor::gate(Gate::GeluTanh, &gate, &up).unwrap(), (gate.gelu().unwrap() * &up).unwrap());

    close("sum", tensor::add(&gate, &up).unwrap(), (&gate + &up).unwrap());
    close("product", tensor::times(&view, &contiguous).unwrap(), (&view * &contiguous).unwrap());

    let (q, k, v) = (make(&[5, 4, 6]), make(&[9, 2, 6]), make(&[9, 2, 6]));
    let mask = make(&[5, 9]);
    let pick = |t: &Tensor, h: usize| t.narrow(1, h, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
    let heads = (0..4).map(|h| {
        let scores = pick(&q, h).matmul(&pick(&k, h / 2).t().unwrap()).unwrap();
        let scores = ((scores * 0.5).unwrap() + &mask).unwrap();
        ops::softmax_last_dim(&scores).unwrap().matmul(&pick(&v, h / 2)).unwrap()
    });
    let want = Tensor::cat(&heads.collect::<Vec<_>>(), 1).unwrap();
    close("attention", tensor::attention(&q, &k, &v, Some(&mask), 0.5).unwrap(), want);

    let (cos, sin) = (make(&[5, 2]), make(&[5, 2]));
    let turned = tensor::turn(&q, &cos, &sin).unwrap();
    let part = |from, len| q.narrow(2, from, len).unwrap();
    let (cos, sin) = (cos.unsqueeze(1).unwrap(), sin.unsqueeze(1).unwrap());
    let times = |x: Tensor, y: &Tensor| x.broadcast_mul(y).unwrap();
    let first = (times(part(0, 2), &cos) - times(part(2, 2), &sin)).unwrap();
    let second = (times(part(0, 2), &sin) + times(part(2, 2), &cos)).unwrap();
    close("rope", turned, Tensor::cat(&[first, second, part(4, 2)], 2).unwrap());

    assert!(tensor::linear(&x, &make(&[50, 41]), None).is_err());
    assert!(tensor::attention(&q, &k, &v, Some(&make(&[5, 8])), 1.0).is_err());
    assert!(tensor::rms_norm(&x, &bias, 1e-5).is_err());
}

/// Rows of which one cannot be read.
struct Torn;

impl Rows for Torn {
    fn widen(&self, row: usize, _: usize, to: &mut [f32]) -> candle_core::Result<()> {
        to.fill(1.0);
        if row == 77 { candle_core::bail!("row {row} cannot be read") } else { Ok(()) }
    }
    fn stored(&self, _: std::ops::Range<usize>) -> std::ops::Range<*const u8> {
        std::ptr::null()..std::ptr::null()
    }
}

#[test]
fn a_row_that_cannot_be_read_is_an_error() {
    let a = [1.0; 3 * 20];
    assert_eq!(gemm_widening(Matrix::new(&a, 3, 20), &Torn, 77).unwrap(), [20.0; 3 * 77]);
    let error = gemm_widening(Matrix::new(&a, 3, 20), &Torn, 100).unwrap_err();
    assert!(error.to_string().contains("row 77 cannot be read"), "{error}");
}

/// The message of a panic.
fn panics(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    *std::panic::catch_unwind(f).unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn matrices_beyond_their_slices_are_refused() {
    // (rows − 1)·stride wraps around to 0, and to a number below 4; then extents that are just too long.
    let beyond = [((1 << 32) + 1, 1, 1 << 32), (3, 2, 1 << 63), (2, 1, 4), (2, 3, 2), (1, 5, 5), (5, 1, 1)];
    for (rows, columns, stride) in beyond {
        let message = panics(|| {
            Matrix::strided(&[0.0; 4], rows, columns, stride);
        });
        assert!(message.contains("beyond its slice"), "{message}");
        let message = panics(|| {
            MatrixMut::strided(&mut [0.0; 4], rows, columns, stride);
        });
        assert!(message.contains("beyond its slice"), "{message}");
    }
    let message = panics(|| {
        MatrixMut::uninit(&mut [std::mem::MaybeUninit::uninit(); 4], 1 << 32, 1 << 32);
    });
    assert!(message.contains("beyond its slice"), "{message}");
    // A stride that no `isize` holds, even where it is not used.
    let message = panics(|| {
        Matrix::strided(&[0.0; 4], 1, 1, usize::MAX);
    });
    assert!(message.contains("beyond its slice"), "{message}");
    // What just fits.
    assert_eq!(Matrix::strided(&[0.0; 4], 2, 1, 3).part(1..2, 0..1).rows(), 1);
    assert_eq!(Matrix::strided(&[0.0; 0], 0, 1 << 40, 1 << 40).rows(), 0);
}
