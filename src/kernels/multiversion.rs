//! Functions compiled several times, for the widest vectors a machine may have; the loops are plain Rust.

/// Declares functions whose loops use AVX-512 or AVX2 where the machine has it.
///
/// What they call must be `#[inline(always)]` to be compiled with them.
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
                fn wide($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn medium($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                match $crate::kernels::simd::level() {
                    // SAFETY: the level says that the machine has these instructions.
                    #[allow(unsafe_code)]
                    $crate::kernels::simd::Level::Avx512 => return unsafe { wide($($arg),*) },
                    // SAFETY: as above.
                    #[allow(unsafe_code)]
                    $crate::kernels::simd::Level::Avx2 => return unsafe { medium($($arg),*) },
                    $crate::kernels::simd::Level::Basic => {}
                }
            }
            plain($($arg),*)
        }
    )*};
}
pub(crate) use vectorised;

/// What vectors this machine has.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub enum Level {
    /// Those of the target.
    Basic,
    /// 256 bits, fused multiply-add.
    Avx2,
    /// 512 bits.
    Avx512,
}

/// Looked up once.
#[cfg(target_arch = "x86_64")]
pub fn level() -> Level {
    use std::sync::OnceLock;
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        macro_rules! has {
            ($($name:tt),*) => { $(is_x86_feature_detected!($name))&&* };
        }
        match () {
            _ if !has!("avx2", "fma") => Level::Basic,
            _ if has!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl") => Level::Avx512,
            _ => Level::Avx2,
        }
    })
}
