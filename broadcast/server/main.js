// Server sends the time of day to a broadcast address: one datagram, which every
// host of that network takes, and every program there that is bound to the port.
//
//	node broadcast/server/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, from, interval, count } = parseArgs({ options: {
  addr: { type: 'string', default: '127.255.255.255:8080' },
  from: { type: 'string', default: '0.0.0.0:0' },
  interval: { type: 'string', default: '1s' },
  count: { type: 'string', default: '0' }
} }).values
if (!(ms(interval) > 0 && ms(interval) < 2 ** 31)) { // of more Node makes 1 ms
  console.error(`server: want an --interval above 0 and below 25 days, not ${interval}`)
  process.exit(1)
}
const [host, port] = addr.split(':')
const [ip, localPort] = from.split(':')

const socket = dgram.createSocket('udp4')
socket.on('error', fail)
let timer
//weave:bind
socket.bind(+localPort, ip, () => {
  // The kernel lets no socket broadcast that has not asked to, and Node asks for
  // none: without this a send fails with EACCES. Before bind this fails with EBADF.
  socket.setBroadcast(true)
  console.log(`sending to ${addr} from ${socket.address().address}:${socket.address().port}`)
  send()
  timer = setInterval(send, ms(interval))
})
//weave:end

let sent = 0
function send () {
  const text = new Date().toLocaleString('sv') // Sweden writes 2006-01-02 15:04:05
  socket.send(text, +port, host, (err, bytes) => {
    if (closed) return // meanwhile: to look a name up takes its time
    if (err && sent === 0) return fail(err) // more likely a mistake than a network that is down
    if (err) console.error(`server: ${err.message}`) // that comes back: a sender outlives it
    else console.log(`sent ${bytes} bytes: "${text}"`)
    if (!err && ++sent === +count) close()
  })
}

function fail (err) {
  console.error(`server: ${err.message}`)
  process.exitCode = 1
  close()
}

let closed = false
function close (then) {
  closed = true
  clearInterval(timer)
  socket.close(then)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => close(() => console.log('closed')))
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  return [...time.matchAll(/(-?[\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
}
