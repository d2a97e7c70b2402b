/**
 * Draws a clock, picture after picture, and encodes it as VP9, with WebCodecs.
 *
 * The place in the clip is to be read from any picture of it: digits, a hand that goes round once in ten seconds, and
 * a bar for the whole.
 */
async ({ width, height, seconds, perSecond, keyEveryS, bitrate }) => {
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { alpha: false });
  const pictures = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      const data = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      pictures.push({ at_ms: Math.round(chunk.timestamp / 1000), is_key: chunk.type === "key", data });
    },
    error: (error) => {
      throw error;
    },
  });
  // One slice, no threads and no dropping of pictures: the same bytes each time.
  encoder.configure({
    codec: "vp09.00.10.08",
    width,
    height,
    bitrate,
    bitrateMode: "variable",
    framerate: perSecond,
    latencyMode: "quality",
    hardwareAcceleration: "prefer-software",
  });

  const disc = { x: height * 0.5, y: height * 0.46, r: height * 0.26 };
  const draw = (at) => {
    brush.fillStyle = "#10252b";
    brush.fillRect(0, 0, width, height);
    brush.lineCap = "round";
    brush.lineWidth = height * 0.03;
    brush.strokeStyle = "#1d3d45";
    brush.beginPath();
    brush.arc(disc.x, disc.y, disc.r, 0, 2 * Math.PI);
    brush.stroke();
    const angle = ((at / 10) % 1) * 2 * Math.PI - Math.PI / 2;
    brush.strokeStyle = "#5fe0cd";
    brush.beginPath();
    brush.moveTo(disc.x, disc.y);
    brush.lineTo(disc.x + disc.r * 0.78 * Math.cos(angle), disc.y + disc.r * 0.78 * Math.sin(angle));
    brush.stroke();
    const whole = Math.floor(at);
    const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${Math.floor(at * 10 + 1e-6) % 10}`;
    brush.fillStyle = "#f2f7f6";
    brush.textAlign = "left";
    brush.textBaseline = "middle";
    brush.font = `700 ${height * 0.22}px "DejaVu Sans", sans-serif`;
    brush.fillText(text, height * 0.88, disc.y);
    brush.fillStyle = "#1d3d45";
    brush.fillRect(height * 0.2, height * 0.86, width - height * 0.4, height * 0.03);
    brush.fillStyle = "#5fe0cd";
    brush.fillRect(height * 0.2, height * 0.86, ((width - height * 0.4) * at) / seconds, height * 0.03);
  };

  for (let number = 0; number < seconds * perSecond; number += 1) {
    const at = number / perSecond;
    draw(at);
    const frame = new VideoFrame(canvas, { timestamp: Math.round(at * 1e6), duration: Math.round(1e6 / perSecond) });
    encoder.encode(frame, { keyFrame: number % (keyEveryS * perSecond) === 0 });
    frame.close();
    while (encoder.encodeQueueSize > 10) await new Promise((go) => encoder.addEventListener("dequeue", go, { once: true }));
  }
  await encoder.flush();
  encoder.close();
  return pictures;
}
