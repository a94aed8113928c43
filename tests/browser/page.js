// One participant in one page: the commands of browser.mjs, on the official livekit-client.
'use strict';

(() => {
  const lk = window.LivekitClient;
  const KEPT = 1000;
  let room;
  const events = [];
  const data = [];
  const chats = [];
  const meters = new Map();

  const keep = (list, item) => {
    list.push({ at_ms: Date.now(), ...item });
    if (list.length > KEPT) list.shift();
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const toText = (bytes) => new TextDecoder().decode(bytes);

  /** Every participant but us, or the one asked for. */
  function remote(identity) {
    const found = room?.remoteParticipants.get(identity);
    if (!found) throw new Error(`no participant ${identity} here`);
    return found;
  }

  /** The newest subscribed publication of a kind, by source where one is given. */
  function publication(identity, kind, source) {
    const all = [...remote(identity).trackPublications.values()];
    const found = all.filter((p) => p.kind === kind && p.track && (!source || p.source === source)).pop();
    if (!found) throw new Error(`${identity} has no subscribed ${source ?? ''} ${kind} track`);
    return found;
  }

  /** Called with every element that shows or plays a track of somebody. */
  const attachedTo = [];

  function attach(track, participant) {
    const element = track.attach();
    attachedTo.forEach((tell) => tell(element, track, participant));
    element.dataset.owner = participant.identity;
    document.body.appendChild(element);
    element.play().catch((error) => keep(events, { event: 'play_failed', detail: error.message }));
  }

  function listen() {
    const on = (event, handle) => room.on(lk.RoomEvent[event], handle);
    on('TrackSubscribed', (track, pub, participant) => {
      attach(track, participant);
      keep(events, { event: 'track_subscribed', identity: participant.identity, kind: track.kind, source: pub.source });
    });
    on('TrackUnsubscribed', (track, pub, participant) => {
      track.detach().forEach((element) => element.remove());
      keep(events, { event: 'track_unsubscribed', identity: participant.identity, kind: track.kind, source: pub.source });
    });
    on('TrackSubscriptionFailed', (sid, participant, reason) =>
      keep(events, { event: 'subscription_failed', identity: participant.identity, detail: `${sid} ${reason}` }));
    on('ParticipantConnected', (p) => keep(events, { event: 'participant_connected', identity: p.identity }));
    on('ParticipantDisconnected', (p) => keep(events, { event: 'participant_disconnected', identity: p.identity }));
    on('TrackMuted', (pub, p) => keep(events, { event: 'track_muted', identity: p.identity, source: pub.source }));
    on('TrackUnmuted', (pub, p) => keep(events, { event: 'track_unmuted', identity: p.identity, source: pub.source }));
    on('ActiveSpeakersChanged', (speakers) =>
      keep(events, { event: 'speakers', detail: speakers.map((p) => p.identity).join(',') }));
    on('Reconnecting', () => keep(events, { event: 'reconnecting' }));
    on('Reconnected', () => keep(events, { event: 'reconnected' }));
    on('Disconnected', (reason) => keep(events, { event: 'disconnected', detail: String(reason) }));
    on('ParticipantAttributesChanged', (changed, p) =>
      keep(events, { event: 'attributes_changed', identity: p.identity, detail: JSON.stringify(changed) }));
    on('DataReceived', (payload, participant, kind, topic) =>
      keep(data, { from: participant?.identity ?? '', text: toText(payload), topic: topic ?? '', reliable: kind === 0 }));
    on('ChatMessage', (message, participant) =>
      keep(chats, { from: participant?.identity ?? '', text: message.message, via: 'message' }));
    room.registerTextStreamHandler('lk.chat', async (reader, from) =>
      keep(chats, { from: from.identity, text: await reader.readAll(), via: 'text' }));
  }

  function trackState(pub) {
    return {
      sid: pub.trackSid, kind: pub.kind, source: pub.source, name: pub.trackName, muted: pub.isMuted,
      subscribed: pub.isSubscribed ?? true, mime_type: pub.mimeType ?? '',
      width: pub.dimensions?.width ?? 0, height: pub.dimensions?.height ?? 0,
    };
  }

  function participantState(p) {
    return {
      identity: p.identity, name: p.name ?? '', sid: p.sid, speaking: p.isSpeaking, attributes: { ...p.attributes },
      quality: p.connectionQuality, tracks: [...p.trackPublications.values()].map(trackState),
    };
  }

  function videoElement(identity, source) {
    const element = publication(identity, 'video', source).track.attachedElements[0];
    if (!element || !element.videoWidth) throw new Error(`no picture of ${identity} yet`);
    return element;
  }

  function drawn(element, width, height) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(element, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  const crc8 = (bytes) => bytes.reduce((crc, byte) => {
    let next = crc ^ byte;
    for (let bit = 0; bit < 8; bit += 1) next = (next & 0x80 ? (next << 1) ^ 0x07 : next << 1) & 0xff;
    return next;
  }, 0);

  /** Reads the stamp that src/media/capture/stamp.rs documents; null where there is none. `rgba` begins at line `top`. */
  function readStamp(rgba, width, height, nowMs, top = 0) {
    const luma = (x, y) => {
      const at = ((y - top) * width + x) * 4;
      return 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
    };
    const row = (index, rowPx) => {
      const edge = height - (2 - index) * rowPx;
      const first = Math.min(Math.round(edge + rowPx * 0.25), height - 1);
      const last = Math.min(Math.max(Math.round(edge + rowPx * 0.75), first + 1), height);
      return Array.from({ length: 32 }, (_, cell) => {
        const left = Math.round(((cell + 0.25) * width) / 32);
        const right = Math.min(Math.max(Math.round(((cell + 0.75) * width) / 32), left + 1), width);
        let sum = 0;
        for (let y = first; y < last; y += 1) for (let x = left; x < right; x += 1) sum += luma(x, y);
        return sum / ((last - first) * (right - left));
      });
    };
    const bytes = (cells, threshold) => [0, 8, 16, 24].map((start) =>
      cells.slice(start, start + 8).reduce((value, cell) => value * 2 + (cell > threshold ? 1 : 0), 0));
    for (const scale of [1, 2, 4, 1.5, 3]) {
      const rowPx = Math.max(height / 40, 8 / scale);
      const [head, tail] = [row(0, rowPx), row(1, rowPx)];
      const marked = (bit) => [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => ((0xa5 >> (7 - i)) & 1) === bit)
        .reduce((sum, i) => sum + head[i] / 4, 0);
      const [zeros, ones] = [marked(0), marked(1)];
      if (ones - zeros < 40) continue;
      const threshold = (zeros + ones) / 2;
      const [marker, ...frame] = bytes(head, threshold);
      const [t2, t1, t0, crc] = bytes(tail, threshold);
      if (marker !== 0xa5 || crc !== crc8([...frame, t2, t1, t0])) continue;
      const span = 2 ** 24;
      const low = t2 * 65536 + t1 * 256 + t0;
      const unixMs = low + span * Math.round((nowMs - low) / span);
      return { frame: frame[0] * 65536 + frame[1] * 256 + frame[2], unix_ms: unixMs };
    }
    return null;
  }

  function plain(report, types) {
    return [...report.values()].filter((entry) => types.includes(entry.type)).map((entry) => ({ ...entry }));
  }

  const commands = {
    /** url, token, options (Room options), connect (connect options). */
    async join({ url, token, options = {}, connect = {} }) {
      if (room) throw new Error('already joined');
      room = new lk.Room({ adaptiveStream: false, dynacast: true, ...options });
      listen();
      const start = performance.now();
      try {
        await room.connect(url, token, connect);
      } catch (error) {
        room = undefined;
        throw error;
      }
      return { identity: room.localParticipant.identity, room: room.name, connect_ms: performance.now() - start };
    },

    /** link: an invitation, which is asked as the token endpoint it is; name; options and connect as of join. */
    async accept({ link, name, ...more }) {
      const { serverUrl, participantToken } = await lk.TokenSource.endpoint(link).fetch({ participantName: name });
      return commands.join({ url: serverUrl, token: participantToken, ...more });
    },

    /** camera, microphone: booleans; simulcast; width, height, fps, codec of the camera. */
    async publish({ camera = false, microphone = false, simulcast = false, width = 640, height = 360, fps = 15, codec = 'vp8' }) {
      const me = room.localParticipant;
      if (camera) {
        const resolution = { width, height, frameRate: fps };
        await me.setCameraEnabled(true, { resolution }, { simulcast, videoCodec: codec });
      }
      if (microphone) await me.setMicrophoneEnabled(true, { echoCancellation: false, noiseSuppression: false, autoGainControl: false });
      return { tracks: [...me.trackPublications.values()].map(trackState) };
    },

    /** Shares a bright page on which a bar moves, as a screen is shared. */
    async share({ width = 640, height = 360, fps = 5 }) {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext('2d', { alpha: false });
      const [page] = canvas.captureStream(0).getVideoTracks();
      let frame = 0;
      const draw = () => {
        context.fillStyle = '#f4f4f4';
        context.fillRect(0, 0, width, height);
        context.fillStyle = '#204080';
        context.fillRect((frame * 8) % (width - 40), height / 2, 40, 20);
        page.requestFrame();
        frame += 1;
      };
      draw();
      setInterval(draw, 1000 / fps);
      const options = { source: lk.Track.Source.ScreenShare, simulcast: false };
      return trackState(await room.localParticipant.publishTrack(page, options));
    },

    /** source: camera or microphone; muted. */
    async mute({ source, muted }) {
      const me = room.localParticipant;
      await (source === 'camera' ? me.setCameraEnabled(!muted) : me.setMicrophoneEnabled(!muted));
    },

    async state() {
      if (!room) return { state: 'disconnected', participants: [] };
      return {
        state: room.state, room: room.name, server: room.serverInfo?.version ?? '',
        me: participantState(room.localParticipant),
        participants: [...room.remoteParticipants.values()].map(participantState),
      };
    },

    /** Takes what happened since the last call. */
    async events() {
      return { events: events.splice(0) };
    },

    async video_stats({ identity, source }) {
      const report = await publication(identity, 'video', source).track.getRTCStatsReport();
      const [inbound] = plain(report, ['inbound-rtp']);
      if (!inbound) throw new Error('no statistics yet');
      const element = videoElement(identity, source);
      return {
        packets: inbound.packetsReceived, lost: inbound.packetsLost, frames_decoded: inbound.framesDecoded,
        frames_dropped: inbound.framesDropped, freezes: inbound.freezeCount, freeze_secs: inbound.totalFreezesDuration,
        keyframes: inbound.keyFramesDecoded, pli: inbound.pliCount, nack: inbound.nackCount,
        fps: inbound.framesPerSecond ?? 0, width: element.videoWidth, height: element.videoHeight,
        decoder: inbound.decoderImplementation ?? '',
      };
    },

    /** Raw statistics of every track, ours and theirs. */
    async rtc_stats() {
      const tracks = [room.localParticipant, ...room.remoteParticipants.values()].flatMap((p) =>
        [...p.trackPublications.values()].filter((pub) => pub.track).map((pub) => [p.identity, pub]));
      const types = ['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp', 'candidate-pair', 'transport'];
      return {
        tracks: await Promise.all(tracks.map(async ([identity, pub]) => {
          const report = await pub.track.getRTCStatsReport();
          return { identity, sid: pub.trackSid, source: pub.source, stats: report ? plain(report, types) : [] };
        })),
      };
    },

    async read_stamp({ identity, source }) {
      const element = videoElement(identity, source);
      const [width, height] = [element.videoWidth, element.videoHeight];
      const stamp = readStamp(drawn(element, width, height), width, height, Date.now());
      return { stamp, now_ms: Date.now(), width, height };
    },

    /** The picture in columns x rows of mean colours. */
    async picture({ identity, source, columns = 16, rows = 9 }) {
      const rgba = drawn(videoElement(identity, source), columns, rows);
      const cells = Array.from({ length: columns * rows }, (_, i) => [...rgba.slice(i * 4, i * 4 + 3)]);
      return { columns, rows, cells };
    },

    /** Loudest 40 ms within ms, root mean square. */
    async audio_level({ identity, ms = 400 }) {
      const { track } = publication(identity, 'audio');
      let meter = meters.get(track.sid);
      if (!meter) {
        const context = new AudioContext();
        await context.resume();
        const analyser = context.createAnalyser();
        analyser.fftSize = 2048;
        context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
        meter = { analyser, samples: new Float32Array(analyser.fftSize) };
        meters.set(track.sid, meter);
      }
      let level = 0;
      for (let waited = 0; waited < ms; waited += 40) {
        await pause(40);
        meter.analyser.getFloatTimeDomainData(meter.samples);
        const power = meter.samples.reduce((sum, s) => sum + s * s, 0) / meter.samples.length;
        level = Math.max(level, Math.sqrt(power));
      }
      return { level };
    },

    async send_data({ text, topic = '', reliable = true, to = [] }) {
      await room.localParticipant.publishData(new TextEncoder().encode(text), { topic, reliable, destinationIdentities: to });
    },

    /** Takes what arrived since the last call. */
    async received_data() {
      return { packets: data.splice(0) };
    },

    /** via: message (ChatMessage packet) or text (lk.chat stream). */
    async chat({ text, via = 'message' }) {
      if (via === 'text') await room.localParticipant.sendText(text, { topic: 'lk.chat' });
      else await room.localParticipant.sendChatMessage(text);
    },

    /** Takes what arrived since the last call. */
    async received_chat() {
      return { messages: chats.splice(0) };
    },

    /** quality: low, medium or high. */
    async set_quality({ identity, source, quality }) {
      const level = { low: lk.VideoQuality.LOW, medium: lk.VideoQuality.MEDIUM, high: lk.VideoQuality.HIGH }[quality];
      publication(identity, 'video', source).setVideoQuality(level);
    },

    /** scenario: as room.simulateScenario of livekit-client names it. Does not wait for what comes of it. */
    async simulate({ scenario }) {
      room.simulateScenario(scenario).catch((error) => keep(events, { event: 'simulate_failed', detail: error.message }));
    },

    async leave() {
      await room?.disconnect();
      room = undefined;
    },
  };

  // For measure.js.
  window.page = { lk, commands, readStamp, crc8, publication, attachedTo, room: () => room };

  window.driver = {
    run(name, given) {
      const command = commands[name];
      if (!command || !Object.hasOwn(commands, name)) throw new Error(`no command ${name}`);
      return command(given);
    },
  };
})();
