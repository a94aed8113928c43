// What the measures ask of a participant's page, besides page.js: pictures with stamps, when they are shown, and sound
// with pulses, when they are heard. All times are Unix times in ms.
'use strict';

(() => {
  const { lk, commands, readStamp, crc8, publication, attachedTo, room } = window.page;
  const CELLS = 32;
  const KEPT = 20_000;
  const unixMs = (performanceMs) => performance.timeOrigin + performanceMs;

  /** Writes the stamp that src/media/capture/stamp.rs documents over the bottom of a canvas. */
  function writeStamp(context, width, height, frame, now) {
    const low = now % 2 ** 24;
    const bytes = (value) => [(value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
    const body = [...bytes(frame), ...bytes(low)];
    const rows = [[0xa5, ...body.slice(0, 3)], [...body.slice(3), crc8(body)]];
    const rowPx = Math.round(Math.max(height / 40, 8));
    rows.forEach((row, index) => {
      const top = height - (2 - index) * rowPx;
      for (let cell = 0; cell < CELLS; cell += 1) {
        context.fillStyle = (row[cell >> 3] >> (7 - (cell & 7))) & 1 ? '#fff' : '#000';
        const left = Math.floor((cell * width) / CELLS);
        context.fillRect(left, top, Math.floor(((cell + 1) * width) / CELLS) - left, rowPx);
      }
    });
  }

  /** A face-like thing that moves before a calm background: about as hard to encode as a person. */
  function draw(context, width, height, frame) {
    const sway = Math.sin(frame / 20) * width * 0.05;
    const wall = context.createLinearGradient(0, 0, width, height);
    wall.addColorStop(0, '#6b7c8f');
    wall.addColorStop(1, '#39424e');
    context.fillStyle = wall;
    context.fillRect(0, 0, width, height);
    const blob = (colour, x, y, rx, ry) => {
      context.fillStyle = colour;
      context.beginPath();
      context.ellipse(width * x + sway, height * y, width * rx, height * ry, Math.sin(frame / 31) * 0.1, 0, 7);
      context.fill();
    };
    blob('#2d3b55', 0.5, 1.0, 0.3, 0.35);
    blob('#c99a7c', 0.5, 0.45, 0.13, 0.3);
    blob('#3a2a20', 0.5, 0.22, 0.14, 0.14);
    blob('#ffffff', 0.45, 0.42, 0.02, 0.02);
    blob('#ffffff', 0.55, 0.42, 0.02, 0.02);
    blob('#8c3b3b', 0.5, 0.6, 0.04, 0.015 + 0.015 * Math.abs(Math.sin(frame / 4)));
  }

  const shown = [];
  let strip;

  /** Notes every picture that an element shows: when, and how old it is by its stamp. */
  function follow(element) {
    const seen = (_now, { presentationTime, width, height }) => {
      if (!element.isConnected) return;
      element.requestVideoFrameCallback(seen);
      const at = unixMs(presentationTime);
      const lines = Math.min(height, Math.ceil(Math.max(height / 40, 8)) * 2 + 2);
      strip ??= document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      if (strip.canvas.width !== width || strip.canvas.height !== lines) {
        [strip.canvas.width, strip.canvas.height] = [width, lines];
      }
      const top = height - lines;
      strip.drawImage(element, 0, top, width, lines, 0, 0, width, lines);
      const stamp = readStamp(strip.getImageData(0, 0, width, lines).data, width, height, at, top);
      shown.push([at, stamp ? at - stamp.unix_ms : null]);
      if (shown.length > KEPT) shown.shift();
    };
    element.requestVideoFrameCallback(seen);
  }

  /** Resolves when any remote picture is shown first. */
  function firstPicture() {
    return new Promise((resolve) => {
      attachedTo.push((element, track) => {
        if (track.kind === 'video') element.requestVideoFrameCallback((now, { presentationTime }) => resolve(presentationTime));
      });
    });
  }

  const heard = [];
  let speaking;

  Object.assign(commands, {
    /** As join; answers when the first picture is shown: ms since the call. */
    async join_and_see(given) {
      const start = performance.now();
      const picture = firstPicture();
      await commands.join(given);
      return { ms: (await picture) - start };
    },

    /** A drawn camera with stamps: width, height, fps, bitrate. */
    async publish_stamped({ width = 640, height = 360, fps = 30, bitrate = 600_000 }) {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext('2d', { alpha: false });
      const [video] = canvas.captureStream(0).getVideoTracks();
      let frame = 0;
      const start = performance.now();
      const tick = () => {
        const now = Date.now();
        draw(context, width, height, frame);
        writeStamp(context, width, height, frame, now);
        video.requestFrame();
        frame += 1;
        setTimeout(tick, Math.max(0, start + (frame * 1000) / fps - performance.now()));
      };
      tick();
      const track = new lk.LocalVideoTrack(video, undefined, false);
      await room().localParticipant.publishTrack(track, {
        source: lk.Track.Source.Camera, simulcast: false, videoCodec: 'vp8',
        videoEncoding: { maxBitrate: bitrate, maxFramerate: fps },
      });
    },

    /** Begins to note every picture of everyone, through reconnections too. */
    async watch_pictures() {
      attachedTo.push((element, track) => track.kind === 'video' && follow(element));
      document.querySelectorAll('video').forEach(follow);
    },

    /** Takes what was shown: [when, age]. */
    async pictures() {
      return { shown: shown.splice(0) };
    },

    /** Samples of somebody's sound so far: concealed (but for silence) and all. */
    async concealment({ identity }) {
      const report = await publication(identity, 'audio').track.getRTCStatsReport();
      const inbound = [...report.values()].find((entry) => entry.type === 'inbound-rtp');
      if (!inbound) throw new Error('no statistics yet');
      const silent = inbound.silentConcealedSamples ?? 0;
      return { concealed: (inbound.concealedSamples ?? 0) - silent, samples: inbound.totalSamplesReceived ?? 0 };
    },

    /** A microphone that is silent but for a tone of 40 ms once a second, at the full second of the clock. */
    async publish_pulses() {
      speaking = new AudioContext({ sampleRate: 48_000, latencyHint: 'interactive' });
      await speaking.resume();
      const to = speaking.createMediaStreamDestination();
      const tone = speaking.createOscillator();
      const gain = speaking.createGain();
      tone.frequency.value = 1000;
      gain.gain.value = 0;
      tone.connect(gain).connect(to);
      tone.start();
      const plan = () => {
        const next = Math.ceil((Date.now() + 200) / 1000) * 1000;
        const at = speaking.currentTime + (next - unixMs(performance.now())) / 1000;
        gain.gain.setValueAtTime(0.5, at);
        gain.gain.setValueAtTime(0, at + 0.04);
        setTimeout(plan, next - Date.now() + 300);
      };
      plan();
      const track = new lk.LocalAudioTrack(to.stream.getAudioTracks()[0], undefined, false);
      await room().localParticipant.publishTrack(track, { source: lk.Track.Source.Microphone, dtx: false });
    },

    /** Begins to note the beginning of every pulse in somebody's sound. */
    async hear_pulses({ identity }) {
      const { track } = publication(identity, 'audio');
      const context = new AudioContext({ sampleRate: 48_000, latencyHint: 'interactive' });
      await context.resume();
      const code = `registerProcessor('pulses', class extends AudioWorkletProcessor {
        process([[samples]]) {
          const at = samples ? samples.findIndex((sample) => Math.abs(sample) > 0.1) : -1;
          if (at >= 0 && !(this.last > currentTime - 0.5)) this.port.postMessage(currentTime + at / sampleRate);
          if (at >= 0) this.last = currentTime;
          return true;
        } });`;
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
      const node = new AudioWorkletNode(context, 'pulses');
      node.port.onmessage = ({ data }) => {
        const { contextTime, performanceTime } = context.getOutputTimestamp();
        heard.push(unixMs(performanceTime) + (data - contextTime) * 1000);
      };
      context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(node);
      node.connect(context.destination);
    },

    /** Takes when pulses were heard. */
    async pulses() {
      return { heard: heard.splice(0) };
    },
  });
})();
