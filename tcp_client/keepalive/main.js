// Keepalive holds a connection on which nothing is sent, and has the kernel ask
// from time to time whether the peer is still there.
//
//	node tcp_client/keepalive/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, idle, interval, count } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  idle: { type: 'string', default: '15s' },
  interval: { type: 'string', default: '15s' }, // these two since Node 24.19 and 26.4
  count: { type: 'string', default: '9' }
} }).values
if (Math.min(ms(idle), ms(interval)) < 1000) { // Node would leave the system's: on Linux two hours, and 75 s
  console.error(`keepalive: want an --idle and an --interval of 1s or more, not ${idle} and ${interval}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

let connected = false
const socket = net.connect(port, host, () => {
  connected = true
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  keepAlive()
})
socket.resume() // who does not read does not learn of the end
let cause
socket.on('error', (err) => { cause = err.message || err.code })
socket.on('close', () => {
  if (cause && !connected) {
    console.error(`keepalive: ${cause}`)
    process.exitCode = 1
  } else {
    console.log(cause ? `closed with error: ${cause}` : 'closed')
  }
})

// Off unless asked for. Before 24.19 and 26.4 Node takes the first time and no more:
// the interval is then 1 s and the count 10. Times are cut to whole seconds, and
// nothing can be read back.
function keepAlive () {
  socket.setKeepAlive(true, ms(idle), ms(interval), +count)
  const [major, minor] = process.versions.node.split('.').map(Number)
  const all = major > 26 || (major === 26 && minor >= 4) || (major === 24 && minor >= 19)
  const s = (time) => `${Math.floor(ms(time) / 1000)}s`
  console.log(`keep-alive on: idle ${s(idle)}, interval ${all ? s(interval) : '1s'}, count ${all ? count : 10}`)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  return [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
}
