// Send sends a part of a message from a socket that was given no address, and
// waits for one reply at the port that the system chose.
//
//	node udp_client/send/main.js --offset 1 --length 3
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, message, offset, length } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  message: { type: 'string', default: 'hello' },
  offset: { type: 'string', default: '0' },
  length: { type: 'string' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const data = Buffer.from(message) // a TypedArray or a DataView would do as well
const socket = dgram.createSocket(/:/.test(host) ? 'udp6' : 'udp4')
send(data, +offset, length === undefined ? data.length - offset : +length)

function send (data, offset, length) {
  // Not bound yet. The first send binds it to 0.0.0.0, or ::, and a port that the
  // system chooses; until then address() throws.
  socket.send(data, offset, length, port, host, (err, n) => {
    if (err) return fail(err)
    console.log(`sent ${n} bytes to ${addr} from ${at(socket.address())}`)
  })
  // Not connected, so the first datagram is the reply, whoever sent it. A refusal
  // (ICMP) does not reach this socket: with no server it waits for ever.
  socket.on('message', (data, rinfo) => {
    const text = JSON.stringify(data.subarray(0, 64).toString())
    console.log(`received ${rinfo.size} bytes from ${at(rinfo)}: ${text}`)
    end()
  })
}

let ended = false
function end (done) {
  if (ended) return
  ended = true
  socket.close(done)
}

function fail (err) {
  if (ended) return
  console.error(`send: ${err.message}`)
  process.exitCode = 1
  end()
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => end(() => console.log('closed')))
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
