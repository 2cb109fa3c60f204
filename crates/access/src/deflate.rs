//! A connection whose both directions are compressed with DEFLATE, without a header (RFC 4978, RFC 1951).
//!
//! A compressor needs some hundred kilobytes, so there is one only while something is being written: after a flush the
//! next begins anew, which the other side cannot tell from blocks that refer to nothing before them. What comes in needs
//! the last 32 KiB, for as long as the connection lasts.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use world::BoxStream;

/// Read from the connection in one go.
const INPUT_BYTES: usize = 4 * 1024;
/// Room for what is made of a piece of output.
const OUTPUT_BYTES: usize = 8 * 1024;

pub(crate) struct Deflated {
    inner: BoxStream,
    compress: Option<Compress>,
    /// Compressed, and to be written.
    output: Vec<u8>,
    decompress: Decompress,
    /// To be decompressed.
    input: Vec<u8>,
    /// The other side has ended its stream.
    ended: bool,
}

impl fmt::Debug for Deflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deflated")
    }
}

impl Deflated {
    pub(crate) fn new(inner: BoxStream) -> Self {
        Self {
            inner,
            compress: None,
            output: Vec::new(),
            decompress: Decompress::new(false),
            input: Vec::new(),
            ended: false,
        }
    }

    fn compress(&mut self, octets: &[u8], flush: FlushCompress) -> io::Result<()> {
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        let mut rest = octets;
        loop {
            self.output.reserve(OUTPUT_BYTES);
            let before = compress.total_in();
            compress.compress_vec(rest, &mut self.output, flush).map_err(io::Error::other)?;
            let taken = usize::try_from(compress.total_in() - before).unwrap_or(rest.len());
            rest = rest.get(taken..).unwrap_or_default();
            // With room left there is nothing more to come out.
            if rest.is_empty() && self.output.len() < self.output.capacity() {
                return Ok(());
            }
        }
    }

    /// Writes what is compressed.
    fn poll_output(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut *self.inner).poll_write(context, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.drain(..written);
        }
        self.output = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn decompress(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let (taken, made) = (self.decompress.total_in(), self.decompress.total_out());
        let status = self
            .decompress
            .decompress(&self.input, buffer.initialize_unfilled(), FlushDecompress::None)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.ended = status == Status::StreamEnd;
        let size = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
        let taken = size(self.decompress.total_in(), taken).min(self.input.len());
        self.input.drain(..taken);
        buffer.advance(size(self.decompress.total_out(), made));
        Ok(())
    }
}

impl AsyncRead for Deflated {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        loop {
            // Something may be left although all input was taken.
            this.decompress(buffer)?;
            if buffer.filled().len() > before || this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; INPUT_BYTES];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *this.inner).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.input.extend_from_slice(read.filled());
        }
    }
}

impl AsyncWrite for Deflated {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_output(context))?;
        this.compress(octets, FlushCompress::None)?;
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.compress.is_some() {
            this.compress(&[], FlushCompress::Sync)?;
            this.compress = None;
        }
        ready!(this.poll_output(context))?;
        Pin::new(&mut *this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(context))?;
        Pin::new(&mut *this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_flushed_arrives_whole_and_in_order() {
        let (ours, theirs) = tokio::io::duplex(100);
        let (mut ours, mut theirs) = (Deflated::new(Box::new(ours)), Deflated::new(Box::new(theirs)));
        let pieces: Vec<Vec<u8>> =
            (0_u32..40).map(|number| number.to_be_bytes().repeat(1 + 97 * number as usize)).collect();
        let sent = pieces.clone();
        let writer = tokio::spawn(async move {
            for piece in sent {
                ours.write_all(&piece).await.unwrap();
                ours.flush().await.unwrap();
            }
            ours.shutdown().await.unwrap();
            ours
        });
        for piece in pieces {
            let mut read = vec![0; piece.len()];
            theirs.read_exact(&mut read).await.unwrap();
            assert_eq!(read, piece);
        }
        assert_eq!(theirs.read(&mut [0; 9]).await.unwrap(), 0);
        let ours = writer.await.unwrap();
        assert!(
            ours.compress.is_none() && ours.output.capacity() == 0,
            "nothing is held while nothing is said"
        );
    }

    #[tokio::test]
    async fn what_is_not_compressed_ends_the_connection() {
        let (mut ours, theirs) = tokio::io::duplex(100);
        ours.write_all(b"\xff\xff\xff\xffnot at all").await.unwrap();
        let error = Deflated::new(Box::new(theirs)).read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_bomb_is_taken_in_small_pieces() {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let mut bomb = Vec::with_capacity(1 << 20);
        let mut compress = Compress::new(Compression::best(), false);
        compress.compress_vec(&vec![0; 100 << 20], &mut bomb, FlushCompress::Sync).unwrap();
        ours.write_all(&bomb).await.unwrap();
        let mut theirs = Deflated::new(Box::new(theirs));
        for _ in 0..100 {
            assert!(theirs.read(&mut [0; 1000]).await.unwrap() > 0);
            assert!(theirs.input.len() <= INPUT_BYTES);
        }
    }
}
