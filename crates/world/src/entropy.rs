/// Random octets fit for secrets.
pub trait Entropy: Send + Sync {
    fn fill(&self, octets: &mut [u8]);

    fn u64(&self) -> u64 {
        let mut octets = [0; 8];
        self.fill(&mut octets);
        u64::from_be_bytes(octets)
    }
}

impl dyn Entropy + '_ {
    /// As many random octets as the array has.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        self.fill(&mut octets);
        octets
    }
}

/// The operating system's generator.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        reason = "without the system's generator no secret can be made; nothing from a peer reaches this"
    )]
    fn fill(&self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("the operating system's random generator answers");
    }
}
