//! Function multiversioning: plain loops are compiled once for each instruction level of the processor.

/// Declares functions whose loops use AVX-512 or AVX2 where [`level`](stencil_engine::cpu::level) allows it.
///
/// Functions that they call must be `#[inline(always)]` to be compiled for the same instructions.
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                use stencil_engine::cpu::{Level, level};

                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
                fn wide($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn medium($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                match level() {
                    // SAFETY: the level carries the proof that the processor has the features that `wide` requires.
                    #[allow(unsafe_code)]
                    Level::Avx512(_) => return unsafe { wide($($arg),*) },
                    // SAFETY: likewise for `medium`.
                    #[allow(unsafe_code)]
                    Level::Avx2(_) => return unsafe { medium($($arg),*) },
                    _ => {}
                }
            }
            plain($($arg),*)
        }
    )*};
}
pub(crate) use vectorised;
