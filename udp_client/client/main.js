// Client sends a message in one datagram and waits for the reply, but not for ever.
//
//	node udp_client/client/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, message, timeout } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  message: { type: 'string', default: 'hello' },
  timeout: { type: 'string', default: '2s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// The type chooses the family: a udp4 socket looks up no other address of localhost.
const socket = dgram.createSocket(/:/.test(host) ? 'udp6' : 'udp4')
let timer
//weave:ask
// Connecting sends nothing. The kernel notes the peer: it lets in no datagrams but
// the peer's, and passes on a refusal (ICMP) as an 'error'.
socket.connect(port, host)
socket.on('connect', () => {
  const peer = at(socket.remoteAddress())
  console.log(`connected to ${peer} from ${at(socket.address())}`)
  const data = Buffer.from(message)
  socket.send(data, (err, n) => err ? fail(err) : console.log(`sent ${n} bytes: ${quote(data)}`))
  // Held up (Ctrl+Z, fg), Node may come to the timer before the socket, which has the
  // reply. With setImmediate it looks there once more before it fails.
  timer = setTimeout(() => setImmediate(fail, new Error(`read ${peer}: no reply within ${timeout}`)), ms(timeout))
})
socket.on('message', (data, rinfo) => {
  console.log(`received ${rinfo.size} bytes from ${at(rinfo)}: ${quote(data)}`)
  end() // or the process would stay for as long as the socket is open
})
//weave:end
socket.on('error', fail)

let ended = false
function end (done) {
  if (ended) return
  ended = true
  clearTimeout(timer)
  socket.close(done)
}

function fail (err) {
  if (ended) return
  console.error(`client: ${err.message}`)
  process.exitCode = 1
  end()
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => end(() => console.log('closed')))
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}

function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString())
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  const total = [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
  return Math.min(total, 2 ** 31 - 1) // of more setTimeout makes 1 ms
}
